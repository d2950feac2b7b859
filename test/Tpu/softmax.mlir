// Softmax with and without a table.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @int8
// CHECK: "tpu.Softmax"(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {axis = 1 : si32, beta = 1.000000e+00 : f64, log = false, round_mode = #tpu<round_mode HalfAwayFromZero>} : (tensor<1x10x!quant.uniform<i8:f32, 5.000000e-01>>, tensor<1x256xf32>, none, none, none, none) -> tensor<1x10x!quant.uniform<i8:f32, 7.812500e-03>>
func.func @int8(%x: tensor<1x10x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x10x!quant.uniform<i8:f32, 0.0078125>> {
  %none = "top.None"() : () -> none
  %t = "top.Weight"() : () -> tensor<1x256xf32>
  %0 = "tpu.Softmax"(%x, %t, %none, %none, %none, %none) {axis = 1 : si32} : (tensor<1x10x!quant.uniform<i8:f32, 0.5>>, tensor<1x256xf32>, none, none, none, none) -> tensor<1x10x!quant.uniform<i8:f32, 0.0078125>>
  return %0 : tensor<1x10x!quant.uniform<i8:f32, 0.0078125>>
}

// CHECK-LABEL: func.func @float
// CHECK: "tpu.Softmax"(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {axis = -1 : si32, beta = 5.000000e-01 : f64, log = true, round_mode = #tpu<round_mode HalfAwayFromZero>} : (tensor<1x10xf32>, none, none, none, none, none) -> tensor<1x10xf32>
func.func @float(%x: tensor<1x10xf32>) -> tensor<1x10xf32> {
  %none = "top.None"() : () -> none
  %0 = "tpu.Softmax"(%x, %none, %none, %none, %none, %none) {axis = -1 : si32, log = true, beta = 0.5 : f64} : (tensor<1x10xf32>, none, none, none, none, none) -> tensor<1x10xf32>
  return %0 : tensor<1x10xf32>
}
