// One index is a Slice and a Squeeze, evenly spaced ones are a Slice, all of them nothing; others stay.
// RUN: mkdir -p %t && cd %t && %npz make w.npz one:1=2 last:1=-1 even:3=0,2,4 down:2=3,1 all:6=0,1,2,3,4,5 beyond:1=9
// RUN: %tpuc-opt %s --top-gather-to-slice -o out.mlir && FileCheck %s --input-file out.mlir

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK: %[[S:.*]] = "top.Slice"(%[[IN]], {{.*}}ends = [9223372036854775807, 3], hasparamConvert_axes = [1], offset = [0, 2], steps = [1, 1]} {{.*}} -> tensor<1x1xf32> loc(#[[SLICE:.*]])
// CHECK: "top.Squeeze"(%[[S]]) {axes = [1], is_scalar = false} : (tensor<1x1xf32>) -> tensor<1xf32> loc(#[[ONE:.*]])
// CHECK: "top.Slice"(%[[IN]], {{.*}}ends = [9223372036854775807, 9223372036854775807], hasparamConvert_axes = [1], offset = [0, -1]
// CHECK: "top.Slice"(%[[IN]], {{.*}}ends = [9223372036854775807, 6], hasparamConvert_axes = [], offset = [0, 0], steps = [1, 2]
// CHECK: "top.Gather"{{.*}}tensor<2xf32>
// CHECK: "top.Relu"(%[[IN]])
// CHECK: "top.Gather"{{.*}}tensor<1xf32>
// CHECK: #[[SLICE]] = loc("one_slice")
// CHECK: #[[ONE]] = loc("one")
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x6xf32>) -> (tensor<1xf32>, tensor<1x1xf32>, tensor<1x3xf32>, tensor<1x2xf32>, tensor<1x6xf32>, tensor<1x1xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x6xf32>) -> tensor<1x6xf32> loc("in")
    %0 = "top.Weight"() : () -> tensor<1xf32> loc("one")
    %1 = "top.Weight"() : () -> tensor<1xf32> loc("last")
    %2 = "top.Weight"() : () -> tensor<3xf32> loc("even")
    %3 = "top.Weight"() : () -> tensor<2xf32> loc("down")
    %4 = "top.Weight"() : () -> tensor<6xf32> loc("all")
    %5 = "top.Weight"() : () -> tensor<1xf32> loc("beyond")
    %a = "top.Gather"(%in, %0) {axis = 1 : si32, keepdims = false} : (tensor<1x6xf32>, tensor<1xf32>) -> tensor<1xf32> loc("one")
    %b = "top.Gather"(%in, %1) {axis = -1 : si32} : (tensor<1x6xf32>, tensor<1xf32>) -> tensor<1x1xf32> loc("last")
    %c = "top.Gather"(%in, %2) {axis = 1 : si32} : (tensor<1x6xf32>, tensor<3xf32>) -> tensor<1x3xf32> loc("even")
    %d = "top.Gather"(%in, %3) {axis = 1 : si32} : (tensor<1x6xf32>, tensor<2xf32>) -> tensor<1x2xf32> loc("down")
    %e = "top.Gather"(%in, %4) {axis = 1 : si32} : (tensor<1x6xf32>, tensor<6xf32>) -> tensor<1x6xf32> loc("all")
    %r = "top.Relu"(%e) : (tensor<1x6xf32>) -> tensor<1x6xf32> loc("r")
    %f = "top.Gather"(%in, %5) {axis = 1 : si32} : (tensor<1x6xf32>, tensor<1xf32>) -> tensor<1x1xf32> loc("beyond")
    return %a, %b, %c, %d, %r, %f : tensor<1xf32>, tensor<1x1xf32>, tensor<1x3xf32>, tensor<1x2xf32>, tensor<1x6xf32>, tensor<1x1xf32>
  }
}
