// The mean or maximum over height and width is a pool; an Unsqueeze that puts dimensions back makes the Reduce keep them.
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s --top-reduce-to-pool | FileCheck %s

// CHECK: "top.AvgPool"({{.*}}count_include_pad = true{{.*}}keepdims = false, kernel_shape = [3, 4]{{.*}} -> tensor<1x2xf32>
// CHECK: "top.MaxPool"({{.*}}keepdims = true, kernel_shape = [3, 4]{{.*}} -> tensor<1x2x1x1xf32>
// CHECK: "top.Reduce"({{.*}}mode = "ReduceSum"
// CHECK: "top.Reduce"({{.*}}axes = [2]{{.*}}mode = "ReduceMean"
// CHECK: %[[K:.*]] = "top.Reduce"({{.*}}axes = [1]{{.*}}keepdims = true, mode = "ReduceMin"{{.*}} -> tensor<1x1x3x4xf32> loc(#[[NAME:.*]])
// CHECK-NEXT: "top.Relu"(%[[K]])
// CHECK: #[[NAME]] = loc("k")
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x3x4xf32>) -> (tensor<1x2xf32>, tensor<1x2x1x1xf32>, tensor<1x2x1x1xf32>, tensor<1x2x1x4xf32>, tensor<1x1x3x4xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32> loc("in")
    %a = "top.Reduce"(%in) {axes = [-1, 2], keepdims = false, mode = "ReduceMean"} : (tensor<1x2x3x4xf32>) -> tensor<1x2xf32> loc("a")
    %b = "top.Reduce"(%in) {axes = [2, 3], keepdims = true, mode = "ReduceMax"} : (tensor<1x2x3x4xf32>) -> tensor<1x2x1x1xf32> loc("b")
    %c = "top.Reduce"(%in) {axes = [2, 3], keepdims = true, mode = "ReduceSum"} : (tensor<1x2x3x4xf32>) -> tensor<1x2x1x1xf32> loc("c")
    %d = "top.Reduce"(%in) {axes = [2], keepdims = true, mode = "ReduceMean"} : (tensor<1x2x3x4xf32>) -> tensor<1x2x1x4xf32> loc("d")
    %k = "top.Reduce"(%in) {axes = [1], keepdims = false, mode = "ReduceMin"} : (tensor<1x2x3x4xf32>) -> tensor<1x3x4xf32> loc("k")
    %u = "top.Unsqueeze"(%k) {axes = [-3]} : (tensor<1x3x4xf32>) -> tensor<1x1x3x4xf32> loc("u")
    %r = "top.Relu"(%u) : (tensor<1x1x3x4xf32>) -> tensor<1x1x3x4xf32> loc("r")
    return %a, %b, %c, %d, %r : tensor<1x2xf32>, tensor<1x2x1x1xf32>, tensor<1x2x1x1xf32>, tensor<1x2x1x4xf32>, tensor<1x1x3x4xf32>
  }
}
