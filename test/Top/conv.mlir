// Convolutions over one to three dimensions.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @defaults
// CHECK: "top.Conv"(%{{.*}}, %{{.*}}, %{{.*}}) {do_relu = false, dynweight_reorderd = false, group = 1 : i64, kernel_shape = [3, 3], pads = [1, 1, 1, 1], relu_limit = -1.000000e+00 : f64, strides = [2, 2], weight_is_coeff = 1 : i64} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x4x4xf32>
func.func @defaults(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x4x4xf32> {
  %none = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %0 = "top.Conv"(%x, %w, %none) {kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x4x4xf32>
  return %0 : tensor<1x4x4x4xf32>
}

// CHECK-LABEL: func.func @depthwise
// CHECK: "top.Conv"(%{{.*}}, %{{.*}}, %{{.*}}) {dilations = [2, 2], do_relu = true, dynweight_reorderd = false, group = 8 : i64, kernel_shape = [3, 3], pads = [2, 2, 2, 2], relu_limit = 6.000000e+00 : f64, strides = [1, 1], weight_is_coeff = 1 : i64} : (tensor<1x8x8x8xf32>, tensor<8x1x3x3xf32>, tensor<8xf32>) -> tensor<1x8x8x8xf32>
func.func @depthwise(%x: tensor<1x8x8x8xf32>) -> tensor<1x8x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<8x1x3x3xf32>
  %b = "top.Weight"() : () -> tensor<8xf32>
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], strides = [1, 1], pads = [2, 2, 2, 2], dilations = [2, 2], group = 8 : i64, do_relu = true, relu_limit = 6.0 : f64} : (tensor<1x8x8x8xf32>, tensor<8x1x3x3xf32>, tensor<8xf32>) -> tensor<1x8x8x8xf32>
  return %0 : tensor<1x8x8x8xf32>
}

// CHECK-LABEL: func.func @one_dimension
// CHECK: "top.Conv"(%{{.*}}, %{{.*}}, %{{.*}}) {do_relu = false, dynweight_reorderd = false, group = 1 : i64, kernel_shape = [3], pads = [0, 0], relu_limit = -1.000000e+00 : f64, strides = [1], weight_is_coeff = 1 : i64} : (tensor<1x3x8xf32>, tensor<4x3x3xf32>, none) -> tensor<1x4x6xf32>
func.func @one_dimension(%x: tensor<1x3x8xf32>) -> tensor<1x4x6xf32> {
  %none = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<4x3x3xf32>
  %0 = "top.Conv"(%x, %w, %none) {kernel_shape = [3], strides = [1], pads = [0, 0]} : (tensor<1x3x8xf32>, tensor<4x3x3xf32>, none) -> tensor<1x4x6xf32>
  return %0 : tensor<1x4x6xf32>
}

// CHECK-LABEL: func.func @three_dimensions
// CHECK: "top.Conv"(%{{.*}}, %{{.*}}, %{{.*}}) {do_relu = false, dynweight_reorderd = false, group = 1 : i64, kernel_shape = [1, 3, 3], pads = [0, 0, 0, 0, 0, 0], relu_limit = -1.000000e+00 : f64, strides = [1, 1, 1], weight_is_coeff = 1 : i64} : (tensor<1x3x4x8x8xf32>, tensor<4x3x1x3x3xf32>, none) -> tensor<1x4x4x6x6xf32>
func.func @three_dimensions(%x: tensor<1x3x4x8x8xf32>) -> tensor<1x4x4x6x6xf32> {
  %none = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<4x3x1x3x3xf32>
  %0 = "top.Conv"(%x, %w, %none) {kernel_shape = [1, 3, 3], strides = [1, 1, 1], pads = [0, 0, 0, 0, 0, 0]} : (tensor<1x3x4x8x8xf32>, tensor<4x3x1x3x3xf32>, none) -> tensor<1x4x4x6x6xf32>
  return %0 : tensor<1x4x4x6x6xf32>
}
