// A matrix product in INT8.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @int8
// CHECK: "tpu.MatMul"(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {do_relu = false, dq_type = "NONE", fuse_rq = false, hdim_is_batch = false, input_zp = 0 : i64, is_lora = false, keep_dims = true, left_reuse = 0 : i64, left_transpose = false, multipliers = [100], output_transpose = false, q_group_size = 0 : i64, quant_mode = #tpu<rq_mode MultiplierShift>, relu_limit = -1.000000e+00 : f64, right_transpose = false, right_zp = 0 : i64, round_mode = #tpu<round_mode HalfAwayFromZero>, rshifts = [8]} : (tensor<1x16x!quant.uniform<i8:f32, 5.000000e-01>>, tensor<16x4xi8>, tensor<4xi32>, none, none) -> tensor<1x4x!quant.uniform<i8:f32, 2.500000e-01>>
func.func @int8(%x: tensor<1x16x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4x!quant.uniform<i8:f32, 0.25>> {
  %none = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<16x4xi8>
  %b = "top.Weight"() : () -> tensor<4xi32>
  %0 = "tpu.MatMul"(%x, %w, %b, %none, %none) {multipliers = [100], rshifts = [8]} : (tensor<1x16x!quant.uniform<i8:f32, 0.5>>, tensor<16x4xi8>, tensor<4xi32>, none, none) -> tensor<1x4x!quant.uniform<i8:f32, 0.25>>
  return %0 : tensor<1x4x!quant.uniform<i8:f32, 0.25>>
}

// CHECK-LABEL: func.func @defaults
// CHECK: "tpu.MatMul"(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {do_relu = false, dq_type = "NONE", fuse_rq = false, hdim_is_batch = false, input_zp = 0 : i64, is_lora = false, keep_dims = true, left_reuse = 0 : i64, left_transpose = false, multipliers = [1], output_transpose = false, q_group_size = 0 : i64, quant_mode = #tpu<rq_mode MultiplierShift>, relu_limit = -1.000000e+00 : f64, right_transpose = false, right_zp = 0 : i64, round_mode = #tpu<round_mode HalfAwayFromZero>, rshifts = [0]} : (tensor<1x16xf32>, tensor<16x4xf32>, none, none, none) -> tensor<1x4xf32>
func.func @defaults(%x: tensor<1x16xf32>) -> tensor<1x4xf32> {
  %none = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<16x4xf32>
  %0 = "tpu.MatMul"(%x, %w, %none, %none, %none) : (tensor<1x16xf32>, tensor<16x4xf32>, none, none, none) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}
