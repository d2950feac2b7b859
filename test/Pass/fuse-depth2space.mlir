// Reshape, Permute, Reshape, and Concat of every second pixel, as Depth2Space; other orders stay.
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s --top-fuse-depth2space | FileCheck %s

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK-NEXT: "top.Depth2Space"(%[[IN]]) {block_h = 2 : i64, block_w = 2 : i64, in_is_NCHW = true, is_CRD = true, is_inversed = false, {{.*}}swap_cr = false} {{.*}} loc(#[[C:.*]])
// CHECK-NEXT: "top.Depth2Space"(%[[IN]]) {{{.*}}is_CRD = false, is_inversed = true, {{.*}}swap_cr = true} : (tensor<1x8x2x4xf32>) -> tensor<1x32x1x2xf32>
// CHECK-NEXT: "top.Reshape"
// CHECK-NEXT: "top.Permute"
// CHECK-NEXT: "top.Reshape"
// CHECK: #[[C]] = loc("c")
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x8x2x4xf32>) -> (tensor<1x2x4x8xf32>, tensor<1x32x1x2xf32>, tensor<1x2x4x8xf32>) {
    %n = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x8x2x4xf32>) -> tensor<1x8x2x4xf32> loc("in")
    %a = "top.Reshape"(%in) {shape = [1, 2, 2, 2, 2, 4]} : (tensor<1x8x2x4xf32>) -> tensor<1x2x2x2x2x4xf32> loc("a")
    %b = "top.Permute"(%a) {order = [0, 1, 4, 2, 5, 3]} : (tensor<1x2x2x2x2x4xf32>) -> tensor<1x2x2x2x4x2xf32> loc("b")
    %c = "top.Reshape"(%b) {shape = [1, 2, 4, 8]} : (tensor<1x2x2x2x4x2xf32>) -> tensor<1x2x4x8xf32> loc("c")
    %s0 = "top.Slice"(%in, %n, %n, %n) {offset = [0, 0, 0, 0], ends = [1, 8, 2, 4], steps = [1, 1, 2, 2]} : (tensor<1x8x2x4xf32>, none, none, none) -> tensor<1x8x1x2xf32> loc("s0")
    %s1 = "top.Slice"(%in, %n, %n, %n) {offset = [0, 0, 1, 0], ends = [1, 8, 2, 4], steps = [1, 1, 2, 2]} : (tensor<1x8x2x4xf32>, none, none, none) -> tensor<1x8x1x2xf32> loc("s1")
    %s2 = "top.Slice"(%in, %n, %n, %n) {offset = [0, 0, 0, 1], ends = [1, 8, 2, 4], steps = [1, 1, 2, 2]} : (tensor<1x8x2x4xf32>, none, none, none) -> tensor<1x8x1x2xf32> loc("s2")
    %s3 = "top.Slice"(%in, %n, %n, %n) {offset = [0, 0, 1, 1], ends = [1, 8, 2, 4], steps = [1, 1, 2, 2]} : (tensor<1x8x2x4xf32>, none, none, none) -> tensor<1x8x1x2xf32> loc("s3")
    %f = "top.Concat"(%s0, %s1, %s2, %s3) {axis = 1 : si32} : (tensor<1x8x1x2xf32>, tensor<1x8x1x2xf32>, tensor<1x8x1x2xf32>, tensor<1x8x1x2xf32>) -> tensor<1x32x1x2xf32> loc("f")
    %g = "top.Reshape"(%in) {shape = [1, 2, 2, 2, 2, 4]} : (tensor<1x8x2x4xf32>) -> tensor<1x2x2x2x2x4xf32> loc("g")
    %h = "top.Permute"(%g) {order = [0, 1, 4, 3, 5, 2]} : (tensor<1x2x2x2x2x4xf32>) -> tensor<1x2x2x2x4x2xf32> loc("h")
    %i = "top.Reshape"(%h) {shape = [1, 2, 4, 8]} : (tensor<1x2x2x2x4x2xf32>) -> tensor<1x2x4x8xf32> loc("i")
    return %c, %f, %i : tensor<1x2x4x8xf32>, tensor<1x32x1x2xf32>, tensor<1x2x4x8xf32>
  }
}
