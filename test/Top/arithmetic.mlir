// Arithmetic of tensors and with constants.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @tensors
func.func @tensors(%x: tensor<1x4x8x8xf32>, %c: tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32> {
  // CHECK: "top.Sub"(%{{.*}}, %{{.*}}) {do_relu = false, is_reverse = false, is_scalar = false, relu_limit = -1.000000e+00 : f64} : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  %0 = "top.Sub"(%x, %c) : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  // CHECK: "top.Sub"({{.*}}) {coeff = [1.000000e+00, 2.000000e+00], do_relu = true, is_reverse = true,
  %1 = "top.Sub"(%0, %c) {coeff = [1.0, 2.0], do_relu = true, is_reverse = true} : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  // CHECK: "top.Mul"(%{{.*}}, %{{.*}}, %{{.*}}) {do_relu = false, is_scalar = false, relu_limit = -1.000000e+00 : f64}
  %2 = "top.Mul"(%1, %c, %x) : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>, tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  // CHECK: "top.Div"(%{{.*}}, %{{.*}}) {do_relu = false, is_reverse = false, is_scalar = false, relu_limit = -1.000000e+00 : f64}
  %3 = "top.Div"(%2, %c) : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  // CHECK: "top.Max"(%{{.*}}, %{{.*}}) : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  %4 = "top.Max"(%3, %c) : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  // CHECK: "top.Min"(%{{.*}}, %{{.*}}) : (tensor<1x4x1x1xf32>, tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  %5 = "top.Min"(%c, %4) : (tensor<1x4x1x1xf32>, tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  // CHECK: "top.Pow3"(%{{.*}}, %{{.*}}) : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  %6 = "top.Pow3"(%5, %c) : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  // CHECK: "top.PRelu"(%{{.*}}, %{{.*}}) : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  %7 = "top.PRelu"(%6, %c) : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  return %7 : tensor<1x4x8x8xf32>
}

// CHECK-LABEL: func.func @constants
func.func @constants(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK: "top.AddConst"(%{{.*}}) {const_val = 3.700000e-01 : f64, do_relu = false, is_scalar = false, relu_limit = -1.000000e+00 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %0 = "top.AddConst"(%x) {const_val = 0.37 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: "top.SubConst"(%{{.*}}) {const_val = 1.000000e+00 : f64, do_relu = false, is_reverse = true, is_scalar = false, relu_limit = -1.000000e+00 : f64}
  %1 = "top.SubConst"(%0) {const_val = 1.0 : f64, is_reverse = true} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: "top.MulConst"(%{{.*}}) {const_val = -1.700000e+00 : f64, do_relu = true, is_scalar = false, relu_limit = 6.000000e+00 : f64}
  %2 = "top.MulConst"(%1) {const_val = -1.7 : f64, do_relu = true, relu_limit = 6.0 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: "top.MaxConst"(%{{.*}}) {const_val = 2.000000e-01 : f64, is_scalar = false}
  %3 = "top.MaxConst"(%2) {const_val = 0.2 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: "top.MinConst"(%{{.*}}) {const_val = 3.000000e-01 : f64, is_scalar = false}
  %4 = "top.MinConst"(%3) {const_val = 0.3 : f64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %4 : tensor<2x3xf32>
}
