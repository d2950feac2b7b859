// A Permute of a Permute is one of its input; the first one stays where it has another reader.
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s --top-fuse-permute | FileCheck %s

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK-NEXT: %{{.*}} = "top.Permute"(%[[IN]]) {order = [0, 3, 1, 2]} : (tensor<1x2x3x4xf32>) -> tensor<1x4x2x3xf32> loc(#[[B:.*]])
// CHECK: "top.Permute"(%[[IN]]) {order = [3, 2, 1, 0]}
// CHECK: "top.Permute"(%[[IN]]) {order = [2, 3, 1, 0]}
// CHECK: #[[B]] = loc("b")
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x3x4xf32>) -> (tensor<1x4x2x3xf32>, tensor<4x3x2x1xf32>, tensor<3x4x2x1xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32> loc("in")
    %a = "top.Permute"(%in) {order = [0, 1, 3, 2]} : (tensor<1x2x3x4xf32>) -> tensor<1x2x4x3xf32> loc("a")
    %b = "top.Permute"(%a) {order = [0, 2, 1, 3]} : (tensor<1x2x4x3xf32>) -> tensor<1x4x2x3xf32> loc("b")
    %c = "top.Permute"(%in) {order = [3, 2, 1, 0]} : (tensor<1x2x3x4xf32>) -> tensor<4x3x2x1xf32> loc("c")
    %d = "top.Permute"(%c) {order = [1, 0, 2, 3]} : (tensor<4x3x2x1xf32>) -> tensor<3x4x2x1xf32> loc("d")
    return %b, %c, %d : tensor<1x4x2x3xf32>, tensor<4x3x2x1xf32>, tensor<3x4x2x1xf32>
  }
}
