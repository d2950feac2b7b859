// Relu with and without a limit, Clip, Softmax.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @relu
// CHECK: "top.Relu"(%{{.*}}) {relu_limit = -1.000000e+00 : f64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
// CHECK: "top.Relu"(%{{.*}}) {relu_limit = 6.000000e+00 : f64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
func.func @relu(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %0 = "top.Relu"(%x) : (tensor<1x4xf32>) -> tensor<1x4xf32>
  %1 = "top.Relu"(%0) {relu_limit = 6.0 : f64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %1 : tensor<1x4xf32>
}

// CHECK-LABEL: func.func @clip
// CHECK: "top.Clip"(%{{.*}}) {max = 1.000000e+00 : f64, min = -1.000000e+00 : f64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
func.func @clip(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %0 = "top.Clip"(%x) {min = -1.0 : f64, max = 1.0 : f64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// CHECK-LABEL: func.func @softmax
// CHECK: "top.Softmax"(%{{.*}}) {axis = 1 : si32, beta = 1.000000e+00 : f64, log = false, round_mode = "HalfAwayFromZero"} : (tensor<1x4xf32>) -> tensor<1x4xf32>
// CHECK: "top.Softmax"(%{{.*}}) {axis = -1 : si32, beta = 2.000000e+00 : f64, log = true, round_mode = "HalfAwayFromZero"} : (tensor<1x4xf32>) -> tensor<1x4xf32>
func.func @softmax(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %0 = "top.Softmax"(%x) {axis = 1 : si32} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  %1 = "top.Softmax"(%0) {axis = -1 : si32, log = true, beta = 2.0 : f64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %1 : tensor<1x4xf32>
}

// CHECK-LABEL: func.func @calibrated
// CHECK: "top.Relu"(%{{.*}}) {quantize_mode = "INT8", relu_limit = -1.000000e+00 : f64} : (tensor<1x4xf32>) -> tensor<1x4x!quant.calibrated<f32<-1.000000e+00:1.000000e+00>>>
func.func @calibrated(%x: tensor<1x4xf32>) -> tensor<1x4x!quant.calibrated<f32<-1.0:1.0>>> {
  %0 = "top.Relu"(%x) {quantize_mode = "INT8"} : (tensor<1x4xf32>) -> tensor<1x4x!quant.calibrated<f32<-1.0:1.0>>>
  return %0 : tensor<1x4x!quant.calibrated<f32<-1.0:1.0>>>
}
