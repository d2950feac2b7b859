// Batch normalization and Scale.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @batchnorm
// CHECK: "top.BatchNorm"(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {do_relu = false, epsilon = 1.000000e-03 : f64, relu_limit = -1.000000e+00 : f64} : (tensor<1x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>
func.func @batchnorm(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %m = "top.Weight"() : () -> tensor<4xf32>
  %v = "top.Weight"() : () -> tensor<4xf32>
  %g = "top.Weight"() : () -> tensor<4xf32>
  %b = "top.Weight"() : () -> tensor<4xf32>
  %0 = "top.BatchNorm"(%x, %m, %v, %g, %b) {epsilon = 1.0e-03 : f64} : (tensor<1x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// CHECK-LABEL: func.func @without_affine
// CHECK: "top.BatchNorm"(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {do_relu = false, epsilon = 1.000000e-05 : f64, relu_limit = -1.000000e+00 : f64} : (tensor<1x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>, none, none) -> tensor<1x4x8x8xf32>
func.func @without_affine(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %none = "top.None"() : () -> none
  %m = "top.Weight"() : () -> tensor<4xf32>
  %v = "top.Weight"() : () -> tensor<4xf32>
  %0 = "top.BatchNorm"(%x, %m, %v, %none, %none) : (tensor<1x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>, none, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// CHECK-LABEL: func.func @scale
// CHECK: "top.Scale"(%{{.*}}, %{{.*}}, %{{.*}}) {do_relu = false, relu_limit = -1.000000e+00 : f64} : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
func.func @scale(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %s = "top.Weight"() : () -> tensor<1x4x1x1xf32>
  %b = "top.Weight"() : () -> tensor<1x4x1x1xf32>
  %0 = "top.Scale"(%x, %s, %b) : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}
