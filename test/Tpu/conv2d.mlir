// Convolutions in INT8 and float.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @int8
// CHECK: "tpu.Conv2D"(%{{.*}}, %{{.*}}, %{{.*}}) {coeff_merged = false, do_relu = true, dynweight_reorderd = false, group = 1 : i64, kernel_shape = [3, 3], kernel_zp = 0 : i64, multiplier = [100, 200], pads = [1, 1, 1, 1], quant_mode = #tpu<rq_mode MultiplierShift>, relu_limit = -1.000000e+00 : f64, round_mode = #tpu<round_mode HalfUp>, rshift = [8, 9], strides = [1, 1], support_compress = true, use_3ic_optimize = 0 : i64, weight_is_coeff = 1 : i64, with_bias = true} : (tensor<1x3x8x8x!quant.uniform<i8:f32, 5.000000e-01>>, tensor<2x3x3x3xi8>, tensor<1x2x1x1xi32>) -> tensor<1x2x8x8x!quant.uniform<u8:f32, 2.500000e-01>>
func.func @int8(%x: tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2x8x8x!quant.uniform<u8:f32, 0.25>> {
  %w = "top.Weight"() : () -> tensor<2x3x3x3xi8>
  %b = "top.Weight"() : () -> tensor<1x2x1x1xi32>
  %0 = "tpu.Conv2D"(%x, %w, %b) {kernel_shape = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1], do_relu = true, with_bias = true, multiplier = [100, 200], rshift = [8, 9], round_mode = #tpu<round_mode HalfUp>} : (tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>, tensor<2x3x3x3xi8>, tensor<1x2x1x1xi32>) -> tensor<1x2x8x8x!quant.uniform<u8:f32, 0.25>>
  return %0 : tensor<1x2x8x8x!quant.uniform<u8:f32, 0.25>>
}

// CHECK-LABEL: func.func @float
// CHECK: "tpu.Conv2D"(%{{.*}}, %{{.*}}, %{{.*}}) {coeff_merged = false, do_relu = false, dynweight_reorderd = false, group = 1 : i64, kernel_shape = [3, 3], kernel_zp = 0 : i64, pads = [1, 1, 1, 1], quant_mode = #tpu<rq_mode OnlyShift>, relu_limit = -1.000000e+00 : f64, round_mode = #tpu<round_mode HalfAwayFromZero>, strides = [2, 2], support_compress = true, use_3ic_optimize = 0 : i64, weight_is_coeff = 1 : i64, with_bias = false} : (tensor<1x3x8x8xf32>, tensor<2x3x3x3xf32>, none) -> tensor<1x2x4x4xf32>
func.func @float(%x: tensor<1x3x8x8xf32>) -> tensor<1x2x4x4xf32> {
  %none = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<2x3x3x3xf32>
  %0 = "tpu.Conv2D"(%x, %w, %none) {kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], quant_mode = #tpu<rq_mode OnlyShift>} : (tensor<1x3x8x8xf32>, tensor<2x3x3x3xf32>, none) -> tensor<1x2x4x4xf32>
  return %0 : tensor<1x2x4x4xf32>
}
