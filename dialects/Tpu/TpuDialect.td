// The Tpu dialect: the network as a chip computes it.
#ifndef TPUC_TPU_DIALECT
#define TPUC_TPU_DIALECT

include "mlir/IR/DialectBase.td"

def Tpu_Dialect : Dialect {
  let name = "tpu";
  let cppNamespace = "::tpuc::tpu";
  let summary = "A network as a chip computes it";
  let description = [{
    Tensors carry quantized element types (`!quant.uniform`); the arithmetic between scales (multipliers, shifts,
    rounding) is in attributes. An op has one exact meaning, which interpreter, simulator and chip share.
  }];
  let dependentDialects = ["::mlir::quant::QuantDialect"];
  let usePropertiesForAttributes = 0;
  let useDefaultAttributePrinterParser = 1;
}

#endif
