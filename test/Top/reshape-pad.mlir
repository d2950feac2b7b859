// Ops that move elements.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @reshape
// CHECK: "top.Reshape"(%{{.*}}) {flatten_start_dim = -1 : i64, shape = [0, -1]} : (tensor<1x4x8x8xf32>) -> tensor<1x256xf32>
// CHECK: "top.Reshape"(%{{.*}}) {flatten_start_dim = 0 : i64} : (tensor<1x256xf32>) -> tensor<256xf32>
func.func @reshape(%x: tensor<1x4x8x8xf32>) -> tensor<256xf32> {
  %0 = "top.Reshape"(%x) {shape = [0, -1]} : (tensor<1x4x8x8xf32>) -> tensor<1x256xf32>
  %1 = "top.Reshape"(%0) {flatten_start_dim = 0 : i64} : (tensor<1x256xf32>) -> tensor<256xf32>
  return %1 : tensor<256xf32>
}

// CHECK-LABEL: func.func @pad
// CHECK: "top.Pad"(%{{.*}}) {mode = "constant", paddings = [0, 0, 1, 1, 0, 0, 2, 2], val = 0.000000e+00 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x11x11xf32>
// CHECK: "top.Pad"(%{{.*}}) {mode = "constant", paddings = [0, 0, -1, 0, 0, 0, 0, 0], val = 1.000000e+00 : f64} : (tensor<1x4x11x11xf32>) -> tensor<1x4x10x11xf32>
// CHECK: "top.Pad"(%{{.*}}) {mode = "reflect", paddings = [0, 0, 1, 0, 0, 0, 0, 0], val = 0.000000e+00 : f64} : (tensor<1x4x10x11xf32>) -> tensor<1x4x11x11xf32>
func.func @pad(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x11x11xf32> {
  %0 = "top.Pad"(%x) {paddings = [0, 0, 1, 1, 0, 0, 2, 2]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x11x11xf32>
  %1 = "top.Pad"(%0) {paddings = [0, 0, -1, 0, 0, 0, 0, 0], val = 1.0 : f64} : (tensor<1x4x11x11xf32>) -> tensor<1x4x10x11xf32>
  %2 = "top.Pad"(%1) {paddings = [0, 0, 1, 0, 0, 0, 0, 0], mode = "reflect"} : (tensor<1x4x10x11xf32>) -> tensor<1x4x11x11xf32>
  return %2 : tensor<1x4x11x11xf32>
}
