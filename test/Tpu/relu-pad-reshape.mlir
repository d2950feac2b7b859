// Ops that keep the scale.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @relu
// CHECK: "tpu.Relu"(%{{.*}}) {relu_limit = 6.000000e+00 : f64} : (tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x!quant.uniform<u8:f32, 5.000000e-01>>
func.func @relu(%x: tensor<1x4x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4x!quant.uniform<u8:f32, 0.5>> {
  %0 = "tpu.Relu"(%x) {relu_limit = 6.0 : f64} : (tensor<1x4x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4x!quant.uniform<u8:f32, 0.5>>
  return %0 : tensor<1x4x!quant.uniform<u8:f32, 0.5>>
}

// CHECK-LABEL: func.func @pad
// CHECK: "tpu.Pad"(%{{.*}}) {mode = #tpu<Pad_Mode constant>, paddings = [0, 0, 1, 1, 0, 0, 1, 1], val = 0.000000e+00 : f64, with_insert_zero = false} : (tensor<1x4x8x8x!quant.uniform<i8:f32, 5.000000e-01>>, none, none, none, none) -> tensor<1x4x10x10x!quant.uniform<i8:f32, 5.000000e-01>>
func.func @pad(%x: tensor<1x4x8x8x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4x10x10x!quant.uniform<i8:f32, 0.5>> {
  %none = "top.None"() : () -> none
  %0 = "tpu.Pad"(%x, %none, %none, %none, %none) {paddings = [0, 0, 1, 1, 0, 0, 1, 1]} : (tensor<1x4x8x8x!quant.uniform<i8:f32, 0.5>>, none, none, none, none) -> tensor<1x4x10x10x!quant.uniform<i8:f32, 0.5>>
  return %0 : tensor<1x4x10x10x!quant.uniform<i8:f32, 0.5>>
}

// CHECK-LABEL: func.func @reshape
// CHECK: "tpu.Reshape"(%{{.*}}) {flatten_start_dim = -1 : i64, shape = []} : (tensor<1x4x1x1x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>
// CHECK: "tpu.Reshape"(%{{.*}}) {flatten_start_dim = 0 : i64} : (tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<4x!quant.uniform<i8:f32, 5.000000e-01>>
func.func @reshape(%x: tensor<1x4x1x1x!quant.uniform<i8:f32, 0.5>>) -> tensor<4x!quant.uniform<i8:f32, 0.5>> {
  %0 = "tpu.Reshape"(%x) {shape = []} : (tensor<1x4x1x1x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4x!quant.uniform<i8:f32, 0.5>>
  %1 = "tpu.Reshape"(%0) {flatten_start_dim = 0 : i64} : (tensor<1x4x!quant.uniform<i8:f32, 0.5>>) -> tensor<4x!quant.uniform<i8:f32, 0.5>>
  return %1 : tensor<4x!quant.uniform<i8:f32, 0.5>>
}
