// Shapes of every Top op follow from its operands. The types written here are wrong on purpose, which only unverified
// input may be.
// RUN: %tpuc-opt %s --mlir-very-unsafe-disable-verifier-on-parsing --shape-infer | FileCheck %s

// A reshape multiplies nothing, a Relu counts one, a Clip two, a Softmax five, a window its taps, a multiply-accumulate two.
// CHECK: module @net attributes {module.FLOPs = 16562 : i64
module @net attributes {module.weight_file = "w.npz"} {
  // CHECK: func.func @main({{.*}}) -> tensor<1x10xf32>
  func.func @main(%arg0: tensor<1x3x16x16xf32>) -> tensor<1x1xf32> {
    %none = "top.None"() : () -> none
    // CHECK: "top.Input"{{.*}} -> tensor<1x3x16x16xf32>
    %0 = "top.Input"(%arg0) : (tensor<1x3x16x16xf32>) -> tensor<1x1x1x1xf32>
    // CHECK: "top.Pad"{{.*}} -> tensor<1x3x18x18xf32>
    %1 = "top.Pad"(%0) {paddings = [0, 0, 1, 1, 0, 0, 1, 1]} : (tensor<1x1x1x1xf32>) -> tensor<1x1x1x1xf32>
    %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
    // CHECK: "top.Conv"{{.*}} -> tensor<1x4x8x8xf32>
    %2 = "top.Conv"(%1, %w, %none) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 0]} : (tensor<1x1x1x1xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x1x1x1xf32>
    %c = "top.Weight"() : () -> tensor<4xf32>
    // CHECK: "top.BatchNorm"{{.*}} -> tensor<1x4x8x8xf32>
    %3 = "top.BatchNorm"(%2, %c, %c, %c, %c) : (tensor<1x1x1x1xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x1x1x1xf32>
    // CHECK: "top.Scale"{{.*}} -> tensor<1x4x8x8xf32>
    %4 = "top.Scale"(%3, %c, %c) : (tensor<1x1x1x1xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x1x1x1xf32>
    // CHECK: "top.Relu"{{.*}} -> tensor<1x4x8x8xf32>
    %5 = "top.Relu"(%4) : (tensor<1x1x1x1xf32>) -> tensor<1x1x1x1xf32>
    // CHECK: "top.Clip"{{.*}} -> tensor<1x4x8x8xf32>
    %6 = "top.Clip"(%5) {min = 0.0 : f64, max = 6.0 : f64} : (tensor<1x1x1x1xf32>) -> tensor<1x1x1x1xf32>
    // CHECK: "top.Add"{{.*}} -> tensor<1x4x8x8xf32>
    %7 = "top.Add"(%5, %6) : (tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x1x1xf32>
    // CHECK: "top.MaxPool"{{.*}} -> tensor<1x4x4x4xf32>
    %8 = "top.MaxPool"(%7) {kernel_shape = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0]} : (tensor<1x1x1x1xf32>) -> tensor<1x1x1x1xf32>
    // CHECK: "top.AvgPool"{{.*}} -> tensor<1x4x2x2xf32>
    %9 = "top.AvgPool"(%8) {kernel_shape = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0]} : (tensor<1x1x1x1xf32>) -> tensor<1x1x1x1xf32>
    // CHECK: "top.Reshape"{{.*}} -> tensor<1x16xf32>
    %10 = "top.Reshape"(%9) {shape = [0, -1]} : (tensor<1x1x1x1xf32>) -> tensor<1x1xf32>
    %fc = "top.Weight"() : () -> tensor<16x10xf32>
    // CHECK: "top.MatMul"{{.*}} -> tensor<1x10xf32>
    %11 = "top.MatMul"(%10, %fc, %none) : (tensor<1x1xf32>, tensor<16x10xf32>, none) -> tensor<1x1xf32>
    // CHECK: "top.Softmax"{{.*}} -> tensor<1x10xf32>
    %12 = "top.Softmax"(%11) {axis = 1 : si32} : (tensor<1x1xf32>) -> tensor<1x1xf32>
    return %12 : tensor<1x1xf32>
  }
}
