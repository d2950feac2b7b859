// What every computing op of Top and Tpu answers: its result shapes and its cost in operations. The bodies are in Rust
// (crate tpuc-ops); the C++ methods only call the hooks that Rust has set.
#ifndef TPUC_INFERENCE_INTERFACE
#define TPUC_INFERENCE_INTERFACE

include "mlir/IR/OpBase.td"

def InferenceInterface : OpInterface<"InferenceInterface"> {
  let cppNamespace = "::tpuc";
  let description = [{
    Shape inference and operation count, answered from the op's attributes and its operand types alone.
  }];
  let methods = [
    InterfaceMethod<
      /*desc=*/"Sets the result types from the operand types; keeps element types. Emits an error and fails if the operands do not fit.",
      /*retTy=*/"::llvm::LogicalResult", /*methodName=*/"inferShapes", /*args=*/(ins), /*methodBody=*/"",
      /*defaultImplementation=*/"return ::tpuc::rustInferShapes($_op.getOperation());">,
    InterfaceMethod<
      /*desc=*/"Arithmetic operations of one execution (a multiply-accumulate counts two).",
      /*retTy=*/"int64_t", /*methodName=*/"getFLOPs", /*args=*/(ins), /*methodBody=*/"",
      /*defaultImplementation=*/"return ::tpuc::rustGetFLOPs($_op.getOperation());">
  ];
}

#endif
