// What Top and Tpu ops have in common: operand constraints and the base class whose verifier is in Rust.
#ifndef TPUC_OP_BASE
#define TPUC_OP_BASE

include "mlir/IR/OpBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "Interfaces/InferenceInterface.td"

// Element types are checked by the Rust verifier: quantized element types, floats and integers all occur.
def AnyTensorOrNone : AnyTypeOf<[AnyRankedTensor, NoneType], "tensor or none">;

// As I64ArrayAttr, for arrays that may have an element for each channel: elements are checked without a call for each of them.
def ChannelI64ArrayAttr : ArrayAttrBase<CPred<"::tpuc::isI64Array($_self)">, "64-bit integer array attribute"> {
  let constBuilderCall = "$_builder.getI64ArrayAttr($0)";
}

// An op of one of our dialects: the verifier calls Rust (crate tpuc-ops through tpuc-dialects).
class Tpuc_Op<Dialect dialect, string mnemonic, list<Trait> traits = []>
    : Op<dialect, mnemonic, traits> {
  let hasVerifier = 1;
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::verify() { return ::tpuc::rustVerify(getOperation()); }
  }];
}

// One that computes: it also knows its shapes and its cost.
class Tpuc_ComputeOp<Dialect dialect, string mnemonic, list<Trait> traits = []>
    : Tpuc_Op<dialect, mnemonic, !listconcat(traits, [Pure, InferenceInterface])> {
}

#endif
