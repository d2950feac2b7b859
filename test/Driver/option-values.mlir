// Values of options with every special character, as the commands encode them, and MLIR's own quotes.
// RUN: rm -rf %t && mkdir -p %t && cd %t && cp %inputs/table "a b.tab" && cp %inputs/table "it's {one}, \"two\".tab"
// RUN: not %tpuc-opt %s --import-calibration-table="file='a b.tab'" 2>&1 | FileCheck %s --check-prefix=SPACE
// RUN: not %tpuc-opt %s --import-calibration-table="file=%%:it%%27s%%20%%7Bone%%7D%%2C%%20%%22two%%22.tab" 2>&1 | FileCheck %s --check-prefix=ENCODED
// RUN: not %tpuc-opt %s --pass-pipeline="builtin.module(import-calibration-table{file=%%:no%%20%%7D%%7Bsuch})" 2>&1 | FileCheck %s --check-prefix=NONE
// SPACE: a b.tab: {{.*}}line {{.*}} is not in the model
// ENCODED: it's {one}, "two".tab: {{.*}}line {{.*}} is not in the model
// NONE: no }{such: no such file
module @net attributes {module.chip = "bm1684x", module.mode = "INT8", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "none.npz"} {
  func.func @main(%arg0: tensor<1x4xf32>) -> tensor<1x4xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x4xf32>) -> tensor<1x4xf32> loc("other")
    return %in : tensor<1x4xf32>
  }
}
