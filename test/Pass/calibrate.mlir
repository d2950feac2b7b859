// Samples run through the network; the largest value of every tensor is its threshold.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w:2x2x1x1=1,0,0,2 b:2=0.5,-0.25
// RUN: %npz make a.npz in:1x2x4x4=1,-2,0.5,0.25 && %npz make b.npz in:1x2x4x4=3,-1
// RUN: echo a.npz > list && echo b.npz >> list
// RUN: %tpuc-opt %s '--top-calibrate=data-list=list method=max table=table' -o calibrated.mlir
// RUN: FileCheck %s --input-file calibrated.mlir
// RUN: FileCheck %s --input-file table --check-prefix=TABLE
// RUN: %tpuc-opt %s '--top-calibrate=data-list=list method=mse debug-cmd=int4;use_max table=int4' -o calibrated4.mlir
// RUN: FileCheck %s --input-file int4 --check-prefix=INT4
// RUN: not %tpuc-opt %s --top-calibrate 2>&1 | FileCheck %s --check-prefix=NOTHING
// RUN: not %tpuc-opt %s '--top-calibrate=data-list=list method=median' 2>&1 | FileCheck %s --check-prefix=METHOD
// RUN: not %tpuc-opt %s '--top-calibrate=data-list=list debug-cmd=int5' 2>&1 | FileCheck %s --check-prefix=KEY
// RUN: not %tpuc-opt %s '--top-calibrate=data-list=list input-num=-1' 2>&1 | FileCheck %s --check-prefix=NUMBER

// CHECK: "top.Input"{{.*}} -> tensor<1x2x4x4x!quant.calibrated<f32<-3.000000e+00:3.000000e+00>>>
// A Relu behind 2 x 3 - 0.25.
// CHECK: "top.Conv"{{.*}} -> tensor<1x2x4x4x!quant.calibrated<f32<0.000000e+00:5.750000e+00>>>
// TABLE: # op_name    threshold    min    max
// TABLE-NEXT: in 3.0000000 -2.0000000 3.0000000
// TABLE-NEXT: conv 5.7500000 0.0000000 5.7500000
// TABLE-NEXT: sum 8.7500000
// INT4: method: max
// INT4: in 3.0000000 -2.0000000 3.0000000
// INT4: #int4_th
// INT4-NEXT: in 3.0000000 -3.4285714 3.0000000
// NOTHING: error: top-calibrate: no samples: give a dataset or a data_list
// METHOD: error: top-calibrate: {{.*}}median
// KEY: error: top-calibrate: option debug-cmd: unknown key 'int5', did you mean 'int4'?
// NUMBER: error: top-calibrate: option input-num: -1 is negative
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
