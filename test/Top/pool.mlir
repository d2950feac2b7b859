// Maximum and mean over windows.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @max
// CHECK: "top.MaxPool"(%{{.*}}) {count_include_pad = false, do_relu = false, first_round_mode = "HalfAwayFromZero", is_adaptive = false, keepdims = true, kernel_shape = [3, 3], pad_value = 0 : i64, pads = [1, 1, 1, 1], relu_limit = -1.000000e+00 : f64, round_mode = "HalfAwayFromZero", strides = [2, 2]} : (tensor<1x4x7x7xf32>) -> tensor<1x4x4x4xf32>
func.func @max(%x: tensor<1x4x7x7xf32>) -> tensor<1x4x4x4xf32> {
  %0 = "top.MaxPool"(%x) {kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]} : (tensor<1x4x7x7xf32>) -> tensor<1x4x4x4xf32>
  return %0 : tensor<1x4x4x4xf32>
}

// CHECK-LABEL: func.func @ceil
// CHECK: "top.MaxPool"(%{{.*}}) {ceil_mode = true, count_include_pad = false, do_relu = false, first_round_mode = "HalfAwayFromZero", is_adaptive = false, keepdims = true, kernel_shape = [3, 3], pad_value = 0 : i64, pads = [0, 0, 0, 0], relu_limit = -1.000000e+00 : f64, round_mode = "HalfAwayFromZero", strides = [2, 2]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x4x4xf32>
func.func @ceil(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x4x4xf32> {
  %0 = "top.MaxPool"(%x) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 0], ceil_mode = true} : (tensor<1x4x8x8xf32>) -> tensor<1x4x4x4xf32>
  return %0 : tensor<1x4x4x4xf32>
}

// CHECK-LABEL: func.func @average
// CHECK: "top.AvgPool"(%{{.*}}) {count_include_pad = true, do_relu = false, first_round_mode = "HalfAwayFromZero", is_adaptive = false, keepdims = true, kernel_shape = [8, 8], pad_value = 0 : i64, pads = [0, 0, 0, 0], relu_limit = -1.000000e+00 : f64, round_mode = "HalfAwayFromZero", strides = [1, 1]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x1x1xf32>
func.func @average(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x1x1xf32> {
  %0 = "top.AvgPool"(%x) {kernel_shape = [8, 8], strides = [1, 1], pads = [0, 0, 0, 0], count_include_pad = true} : (tensor<1x4x8x8xf32>) -> tensor<1x4x1x1xf32>
  return %0 : tensor<1x4x1x1xf32>
}

// CHECK-LABEL: func.func @dropped_dimensions
// CHECK: "top.AvgPool"(%{{.*}}) {count_include_pad = false, do_relu = false, first_round_mode = "HalfAwayFromZero", is_adaptive = false, keepdims = false, kernel_shape = [8, 8], pad_value = 0 : i64, pads = [0, 0, 0, 0], relu_limit = -1.000000e+00 : f64, round_mode = "HalfAwayFromZero", strides = [1, 1]} : (tensor<1x4x8x8xf32>) -> tensor<1x4xf32>
func.func @dropped_dimensions(%x: tensor<1x4x8x8xf32>) -> tensor<1x4xf32> {
  %0 = "top.AvgPool"(%x) {kernel_shape = [8, 8], strides = [1, 1], pads = [0, 0, 0, 0], keepdims = false} : (tensor<1x4x8x8xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}
