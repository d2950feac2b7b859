// Sums of two and three tensors, with broadcasting and factors.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @two
// CHECK: "top.Add"(%{{.*}}, %{{.*}}) {do_relu = true, is_scalar = false, relu_limit = -1.000000e+00 : f64} : (tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
func.func @two(%x: tensor<1x4x8x8xf32>, %y: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %0 = "top.Add"(%x, %y) {do_relu = true} : (tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// CHECK-LABEL: func.func @three_broadcast
// CHECK: "top.Add"(%{{.*}}, %{{.*}}, %{{.*}}) {coeff = [1.000000e+00, -1.000000e+00, 2.000000e+00], do_relu = false, is_scalar = false, relu_limit = -1.000000e+00 : f64} : (tensor<1x4x8x1xf32>, tensor<1x1x1x8xf32>, tensor<8xf32>) -> tensor<1x4x8x8xf32>
func.func @three_broadcast(%x: tensor<1x4x8x1xf32>, %y: tensor<1x1x1x8xf32>, %z: tensor<8xf32>) -> tensor<1x4x8x8xf32> {
  %0 = "top.Add"(%x, %y, %z) {coeff = [1.0, -1.0, 2.0]} : (tensor<1x4x8x1xf32>, tensor<1x1x1x8xf32>, tensor<8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}
