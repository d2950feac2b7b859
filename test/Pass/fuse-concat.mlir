// A Concat within a Concat along the same axis is part of it; along another one it is not.
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s --top-fuse-concat | FileCheck %s

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK: %[[R:.*]] = "top.Relu"
// CHECK-NEXT: "top.Concat"(%[[R]], %[[IN]], %[[R]]) {{.*}} -> tensor<1x6x3xf32>
// CHECK: %[[C:.*]] = "top.Concat"(%[[IN]], %[[R]]) {axis = 2
// CHECK: "top.Concat"(%[[C]], %[[C]]) {axis = 1
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x3xf32>) -> (tensor<1x6x3xf32>, tensor<1x4x6xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x2x3xf32>) -> tensor<1x2x3xf32> loc("in")
    %r = "top.Relu"(%in) : (tensor<1x2x3xf32>) -> tensor<1x2x3xf32> loc("r")
    %a = "top.Concat"(%in, %r) {axis = -2 : si32} : (tensor<1x2x3xf32>, tensor<1x2x3xf32>) -> tensor<1x4x3xf32> loc("a")
    %b = "top.Concat"(%r, %a) {axis = 1 : si32} : (tensor<1x2x3xf32>, tensor<1x4x3xf32>) -> tensor<1x6x3xf32> loc("b")
    %c = "top.Concat"(%in, %r) {axis = 2 : si32} : (tensor<1x2x3xf32>, tensor<1x2x3xf32>) -> tensor<1x2x6xf32> loc("c")
    %d = "top.Concat"(%c, %c) {axis = 1 : si32} : (tensor<1x2x6xf32>, tensor<1x2x6xf32>) -> tensor<1x4x6xf32> loc("d")
    return %b, %d : tensor<1x6x3xf32>, tensor<1x4x6xf32>
  }
}
