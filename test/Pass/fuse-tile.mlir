// Expand is Tile; in front of an op that broadcasts it is not needed, unless it alone gives the size.
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s --top-fuse-tile | FileCheck %s

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK: %[[Y:.*]] = "top.Input"
// CHECK-NEXT: "top.Add"(%[[Y]], %[[IN]])
// CHECK-NEXT: %[[R:.*]] = "top.Reshape"(%[[Y]]) {flatten_start_dim = -1 : i64, shape = [1, 1, 2, 1]}
// CHECK-NEXT: %[[T:.*]] = "top.Tile"(%[[R]]) {tile = [2, 1, 1, 4]} : (tensor<1x1x2x1xf32>) -> tensor<2x1x2x4xf32> loc(#[[E:.*]])
// CHECK-NEXT: "top.Add"(%[[T]], %[[Y]])
// CHECK-NEXT: %[[K:.*]] = "top.Tile"(%[[Y]]) {tile = [1, 1, 4]}
// CHECK-NEXT: "top.Concat"(%[[IN]], %[[K]])
// CHECK: #[[E]] = loc("e")
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4xf32>, %arg1: tensor<1x2x1xf32>) -> (tensor<1x2x4xf32>, tensor<2x1x2x4xf32>, tensor<1x4x4xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x2x4xf32>) -> tensor<1x2x4xf32> loc("in")
    %y = "top.Input"(%arg1) : (tensor<1x2x1xf32>) -> tensor<1x2x1xf32> loc("y")
    %a = "top.Expand"(%y) {shape = [1, 1, 4]} : (tensor<1x2x1xf32>) -> tensor<1x2x4xf32> loc("a")
    %s = "top.Add"(%a, %in) : (tensor<1x2x4xf32>, tensor<1x2x4xf32>) -> tensor<1x2x4xf32> loc("s")
    %e = "top.Expand"(%y) {shape = [2, 1, 1, 4]} : (tensor<1x2x1xf32>) -> tensor<2x1x2x4xf32> loc("e")
    %p = "top.Add"(%e, %y) : (tensor<2x1x2x4xf32>, tensor<1x2x1xf32>) -> tensor<2x1x2x4xf32> loc("p")
    %t = "top.Tile"(%y) {tile = [1, 1, 4]} : (tensor<1x2x1xf32>) -> tensor<1x2x4xf32> loc("t")
    %c = "top.Concat"(%in, %t) {axis = 1 : si32} : (tensor<1x2x4xf32>, tensor<1x2x4xf32>) -> tensor<1x4x4xf32> loc("c")
    return %s, %p, %c : tensor<1x2x4xf32>, tensor<2x1x2x4xf32>, tensor<1x4x4xf32>
  }
}
