// Thresholds of a table become the ranges of the result types.
// RUN: %tpuc-opt %s --import-calibration-table=file=%inputs/table | FileCheck %s
// RUN: not %tpuc-opt %s --import-calibration-table=file=%inputs/table-unknown-layer 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not %tpuc-opt %s --import-calibration-table=file=%inputs/table-broken 2>&1 | FileCheck %s --check-prefix=BROKEN
// RUN: not %tpuc-opt %s --import-calibration-table=file=no-such-table 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not %tpuc-opt %s --import-calibration-table 2>&1 | FileCheck %s --check-prefix=NOFILE
// RUN: %tpuc-opt %s '--import-calibration-table=file=%inputs/table asymmetric=True' | FileCheck %s --check-prefix=ASYM
// RUN: not %tpuc-opt %s '--processor-assign=chip=cv183x mode=INT8' '--import-calibration-table=file=%inputs/table asymmetric=True' 2>&1 | FileCheck %s --check-prefix=ZERO

// CHECK: func.func @main({{.*}}) -> tensor<1x2x4x4x!quant.calibrated<f32<-6.350000e+00:6.350000e+00>>>
// CHECK: "top.Input"{{.*}} -> tensor<1x2x4x4x!quant.calibrated<f32<-2.000000e+00:2.000000e+00>>>
// CHECK: "top.Conv"{{.*}} -> tensor<1x2x4x4x!quant.calibrated<f32<0.000000e+00:4.000000e+00>>>
// UNKNOWN: error: import-calibration-table: {{.*}}table-unknown-layer: line 13: layer 'summ' is not in the model; the nearest is 'sum'
// BROKEN: error: import-calibration-table: {{.*}}table-broken: line 12: layer 'conv': 'four' is not a threshold
// MISSING: error: import-calibration-table: no-such-table: no such file or directory
// ASYM: "top.Input"{{.*}} -> tensor<1x2x4x4x!quant.calibrated<f32<-2.000000e+00:1.500000e+00>>>
// ASYM: "top.Conv"{{.*}} -> tensor<1x2x4x4x!quant.calibrated<f32<0.000000e+00:4.000000e+00>>>
// ZERO: error: import-calibration-table: chip cv183x has no zero points: asymmetric quantization is for bm1684x, bm1688, cv186x, bm1690
// NOFILE: error: import-calibration-table: option file is missing: the calibration table
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %w = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("w")
    %b = "top.Weight"() : () -> tensor<2xf32> loc("b")
    %conv = "top.Conv"(%in, %w, %b) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], do_relu = true} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc("conv")
    %sum = "top.Add"(%in, %conv) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("sum")
    return %sum : tensor<1x2x4x4xf32>
  }
}
