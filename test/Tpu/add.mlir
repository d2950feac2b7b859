// Sums, each input with its own multiplier and shift.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @int8
// CHECK: "tpu.Add"(%{{.*}}, %{{.*}}) {do_relu = false, multipliers = [64, 32], relu_limit = -1.000000e+00 : f64, rshifts = [7, 7]} : (tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>, tensor<1x4x!quant.uniform<u8:f32, 2.500000e-01>>) -> tensor<1x4x!quant.uniform<i8:f32, 1.000000e+00>>
func.func @int8(%x: tensor<1x4x!quant.uniform<i8:f32, 0.5>>, %y: tensor<1x4x!quant.uniform<u8:f32, 0.25>>) -> tensor<1x4x!quant.uniform<i8:f32, 1.0>> {
  %0 = "tpu.Add"(%x, %y) {multipliers = [64, 32], rshifts = [7, 7]} : (tensor<1x4x!quant.uniform<i8:f32, 0.5>>, tensor<1x4x!quant.uniform<u8:f32, 0.25>>) -> tensor<1x4x!quant.uniform<i8:f32, 1.0>>
  return %0 : tensor<1x4x!quant.uniform<i8:f32, 1.0>>
}

// CHECK-LABEL: func.func @float
// CHECK: "tpu.Add"(%{{.*}}, %{{.*}}) {coeff = [1.000000e+00, -1.000000e+00], do_relu = false, relu_limit = -1.000000e+00 : f64} : (tensor<1x4x1xf32>, tensor<8xf32>) -> tensor<1x4x8xf32>
func.func @float(%x: tensor<1x4x1xf32>, %y: tensor<8xf32>) -> tensor<1x4x8xf32> {
  %0 = "tpu.Add"(%x, %y) {coeff = [1.0, -1.0]} : (tensor<1x4x1xf32>, tensor<8xf32>) -> tensor<1x4x8xf32>
  return %0 : tensor<1x4x8xf32>
}
