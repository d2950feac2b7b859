// The Top dialect: the network as it was trained, independent of any chip.
#ifndef TPUC_TOP_DIALECT
#define TPUC_TOP_DIALECT

include "mlir/IR/DialectBase.td"

def Top_Dialect : Dialect {
  let name = "top";
  let cppNamespace = "::tpuc::top";
  let summary = "A trained network, independent of any chip";
  let description = [{
    Ops compute in f32 on NCHW tensors. Calibration writes thresholds into the result types
    (`!quant.calibrated`), a quantize mode is an attribute; lowering turns Top into Tpu.
  }];
  let dependentDialects = ["::mlir::quant::QuantDialect"];
  // The vendor's tools (LLVM 18) refuse `<{...}>`, so attributes are printed as discardable ones.
  let usePropertiesForAttributes = 0;
}

#endif
