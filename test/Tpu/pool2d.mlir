// Maximum and mean over windows.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @max
// CHECK: "tpu.Pool2D"(%{{.*}}) {count_include_pad = false, do_relu = false, first_round_mode = #tpu<round_mode HalfAwayFromZero>, is_adaptive = false, keepdims = true, kernel_shape = [2, 2], pad_value = 0 : i64, pads = [0, 0, 0, 0], pool_mode = #tpu<pool_mode Max>, relu_limit = -1.000000e+00 : f64, round_mode = #tpu<round_mode HalfAwayFromZero>, strides = [2, 2]} : (tensor<1x4x8x8x!quant.uniform<u8:f32, 5.000000e-01>>) -> tensor<1x4x4x4x!quant.uniform<u8:f32, 5.000000e-01>>
func.func @max(%x: tensor<1x4x8x8x!quant.uniform<u8:f32, 0.5>>) -> tensor<1x4x4x4x!quant.uniform<u8:f32, 0.5>> {
  %0 = "tpu.Pool2D"(%x) {pool_mode = #tpu<pool_mode Max>, kernel_shape = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0]} : (tensor<1x4x8x8x!quant.uniform<u8:f32, 0.5>>) -> tensor<1x4x4x4x!quant.uniform<u8:f32, 0.5>>
  return %0 : tensor<1x4x4x4x!quant.uniform<u8:f32, 0.5>>
}

// CHECK-LABEL: func.func @average
// CHECK: "tpu.Pool2D"(%{{.*}}) {count_include_pad = false, do_relu = false, first_round_mode = #tpu<round_mode HalfAwayFromZero>, is_adaptive = false, keepdims = true, kernel_shape = [8, 8], multiplier = 512 : si32, pad_value = 0 : i64, pads = [0, 0, 0, 0], pool_mode = #tpu<pool_mode Avg>, relu_limit = -1.000000e+00 : f64, round_mode = #tpu<round_mode HalfUp>, rshift = 15 : si32, strides = [1, 1]} : (tensor<1x4x8x8x!quant.uniform<u8:f32, 5.000000e-01>>) -> tensor<1x4x1x1x!quant.uniform<u8:f32, 5.000000e-01>>
func.func @average(%x: tensor<1x4x8x8x!quant.uniform<u8:f32, 0.5>>) -> tensor<1x4x1x1x!quant.uniform<u8:f32, 0.5>> {
  %0 = "tpu.Pool2D"(%x) {pool_mode = #tpu<pool_mode Avg>, kernel_shape = [8, 8], strides = [1, 1], pads = [0, 0, 0, 0], multiplier = 512 : si32, rshift = 15 : si32, round_mode = #tpu<round_mode HalfUp>} : (tensor<1x4x8x8x!quant.uniform<u8:f32, 0.5>>) -> tensor<1x4x1x1x!quant.uniform<u8:f32, 0.5>>
  return %0 : tensor<1x4x1x1x!quant.uniform<u8:f32, 0.5>>
}

// CHECK-LABEL: func.func @average_scaled
// CHECK: "tpu.Pool2D"(%{{.*}}) {count_include_pad = false, do_relu = false, first_round_mode = #tpu<round_mode HalfAwayFromZero>, is_adaptive = false, keepdims = true, kernel_shape = [8, 8], offset = 0.000000e+00 : f64, pad_value = 0 : i64, pads = [0, 0, 0, 0], pool_mode = #tpu<pool_mode Avg>, relu_limit = -1.000000e+00 : f64, round_mode = #tpu<round_mode HalfAwayFromZero>, scale = 2.000000e+00 : f64, strides = [1, 1]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x1x1xf32>
func.func @average_scaled(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x1x1xf32> {
  %0 = "tpu.Pool2D"(%x) {pool_mode = #tpu<pool_mode Avg>, kernel_shape = [8, 8], strides = [1, 1], pads = [0, 0, 0, 0], scale = 2.0 : f64, offset = 0.0 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x1x1xf32>
  return %0 : tensor<1x4x1x1xf32>
}
