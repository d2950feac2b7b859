// Shapes of every Tpu op follow from its operands; element types stay. The shapes written here are wrong on purpose.
// RUN: %tpuc-opt %s --mlir-very-unsafe-disable-verifier-on-parsing --shape-infer | FileCheck %s

!q = !quant.uniform<i8:f32, 0.5>
!u = !quant.uniform<u8:f32, 0.5>
module @net attributes {module.weight_file = "w.npz"} {
  // CHECK: func.func @main({{.*}}) -> tensor<1x10xf32>
  func.func @main(%arg0: tensor<1x3x16x16xf32>) -> tensor<1x1xf32> {
    %none = "top.None"() : () -> none
    %0 = "top.Input"(%arg0) : (tensor<1x3x16x16xf32>) -> tensor<1x1x1x1xf32>
    // CHECK: "tpu.Cast"{{.*}} -> tensor<1x3x16x16x!quant.uniform<i8:f32, 5.000000e-01>>
    %1 = "tpu.Cast"(%0) : (tensor<1x1x1x1xf32>) -> tensor<1x1x1x1x!q>
    // CHECK: "tpu.Pad"{{.*}} -> tensor<1x3x18x18x!quant.uniform<i8:f32, 5.000000e-01>>
    %2 = "tpu.Pad"(%1, %none, %none, %none, %none) {paddings = [0, 0, 1, 1, 0, 0, 1, 1]} : (tensor<1x1x1x1x!q>, none, none, none, none) -> tensor<1x1x1x1x!q>
    %w = "top.Weight"() : () -> tensor<2x3x3x3xi8>
    // CHECK: "tpu.Conv2D"{{.*}} -> tensor<1x2x8x8x!quant.uniform<u8:f32, 5.000000e-01>>
    %3 = "tpu.Conv2D"(%2, %w, %none) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 0], multiplier = [1, 1], rshift = [1, 1]} : (tensor<1x1x1x1x!q>, tensor<2x3x3x3xi8>, none) -> tensor<1x1x1x1x!u>
    // CHECK: "tpu.Relu"{{.*}} -> tensor<1x2x8x8x!quant.uniform<u8:f32, 5.000000e-01>>
    %4 = "tpu.Relu"(%3) : (tensor<1x1x1x1x!u>) -> tensor<1x1x1x1x!u>
    // CHECK: "tpu.Add"{{.*}} -> tensor<1x2x8x8x!quant.uniform<u8:f32, 5.000000e-01>>
    %5 = "tpu.Add"(%3, %4) {multipliers = [1, 1], rshifts = [1, 1]} : (tensor<1x1x1x1x!u>, tensor<1x1x1x1x!u>) -> tensor<1x1x1x1x!u>
    // CHECK: "tpu.Pool2D"{{.*}} -> tensor<1x2x4x4x!quant.uniform<u8:f32, 5.000000e-01>>
    %6 = "tpu.Pool2D"(%5) {pool_mode = #tpu<pool_mode Max>, kernel_shape = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0]} : (tensor<1x1x1x1x!u>) -> tensor<1x1x1x1x!u>
    // CHECK: "tpu.Reshape"{{.*}} -> tensor<1x32x!quant.uniform<u8:f32, 5.000000e-01>>
    %7 = "tpu.Reshape"(%6) {shape = [0, -1]} : (tensor<1x1x1x1x!u>) -> tensor<1x1x!u>
    %fc = "top.Weight"() : () -> tensor<32x10xi8>
    // CHECK: "tpu.MatMul"{{.*}} -> tensor<1x10x!quant.uniform<i8:f32, 5.000000e-01>>
    %8 = "tpu.MatMul"(%7, %fc, %none, %none, %none) : (tensor<1x1x!u>, tensor<32x10xi8>, none, none, none) -> tensor<1x1x!q>
    %table = "top.Weight"() : () -> tensor<1x256xf32>
    // CHECK: "tpu.Softmax"{{.*}} -> tensor<1x10x!quant.uniform<i8:f32, 5.000000e-01>>
    %9 = "tpu.Softmax"(%8, %table, %none, %none, %none, %none) {axis = 1 : si32} : (tensor<1x1x!q>, tensor<1x256xf32>, none, none, none, none) -> tensor<1x1x!q>
    %10 = "tpu.Cast"(%9) : (tensor<1x1x!q>) -> tensor<1x1xf32>
    return %10 : tensor<1x1xf32>
  }
}
