// A Slice of a Slice is one; not where a step is negative.
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s --top-fuse-slice | FileCheck %s

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK: "top.Slice"(%[[IN]], {{.*}}ends = [1, 8, 5], hasparamConvert_axes = [2, 1], offset = [0, 2, 1], steps = [1, 4, 1]} {{.*}} -> tensor<1x2x4xf32>
// CHECK: %[[C:.*]] = "top.Slice"(%[[IN]], {{.*}}steps = [1, -1, 1]
// CHECK: "top.Slice"(%[[C]],
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x8x6xf32>) -> (tensor<1x2x4xf32>, tensor<1x2x6xf32>) {
    %n = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x8x6xf32>) -> tensor<1x8x6xf32> loc("in")
    %a = "top.Slice"(%in, %n, %n, %n) {offset = [0, 0, 0], ends = [1, 8, 6], steps = [1, 2, 1], hasparamConvert_axes = [1]} : (tensor<1x8x6xf32>, none, none, none) -> tensor<1x4x6xf32> loc("a")
    %b = "top.Slice"(%a, %n, %n, %n) {offset = [0, 1, 1], ends = [1, 4, 5], steps = [1, 2, 1], hasparamConvert_axes = [2]} : (tensor<1x4x6xf32>, none, none, none) -> tensor<1x2x4xf32> loc("b")
    %c = "top.Slice"(%in, %n, %n, %n) {offset = [0, 7, 0], ends = [1, 3, 6], steps = [1, -1, 1]} : (tensor<1x8x6xf32>, none, none, none) -> tensor<1x4x6xf32> loc("c")
    %d = "top.Slice"(%c, %n, %n, %n) {offset = [0, 0, 0], ends = [1, 2, 6], steps = [1, 1, 1]} : (tensor<1x4x6xf32>, none, none, none) -> tensor<1x2x6xf32> loc("d")
    return %b, %d : tensor<1x2x4xf32>, tensor<1x2x6xf32>
  }
}
