// The parts of a Split that are read become Slices under their names.
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s --top-split-to-slice | FileCheck %s

// CHECK-NOT: top.Split
// CHECK: "top.Slice"({{.*}}) {axes = [], ends = [9223372036854775807, 4], hasparamConvert_axes = [1], offset = [0, 1], steps = [1, 1]} : (tensor<1x6xf32>, none, none, none) -> tensor<1x3xf32> loc(#[[B:.*]])
// CHECK: "top.Slice"({{.*}}) {axes = [], ends = [9223372036854775807, 6], {{.*}}offset = [0, 4]
// CHECK: "top.Relu"
// CHECK: #[[B]] = loc("b")
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x6xf32>) -> (tensor<1x3xf32>, tensor<1x2xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x6xf32>) -> tensor<1x6xf32> loc("in")
    %a, %b, %c = "top.Split"(%in) {axis = -1 : si32, num = 3 : i64, split_size = [1, 3, 2]} : (tensor<1x6xf32>) -> (tensor<1x1xf32>, tensor<1x3xf32>, tensor<1x2xf32>) loc(fused["a", "b", "c"])
    %r = "top.Relu"(%c) : (tensor<1x2xf32>) -> tensor<1x2xf32> loc("r")
    return %b, %r : tensor<1x3xf32>, tensor<1x2xf32>
  }
}
