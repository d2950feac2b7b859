// Equal ops on equal operands are one; an output keeps its op, and other attributes are other ops.
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s --top-fuse-same | FileCheck %s

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK-NEXT: %[[A:.*]] = "top.Relu"(%[[IN]]) {relu_limit = -1.000000e+00 : f64}
// CHECK-NEXT: %[[C:.*]] = "top.Relu"(%[[IN]]) {relu_limit = 6.000000e+00 : f64}
// CHECK-NEXT: "top.Add"(%[[A]], %[[A]], %[[C]])
// CHECK-NEXT: "top.Relu"(%[[IN]]) {relu_limit = -1.000000e+00 : f64}
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x3xf32>) -> (tensor<1x3xf32>, tensor<1x3xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x3xf32>) -> tensor<1x3xf32> loc("in")
    %a = "top.Relu"(%in) : (tensor<1x3xf32>) -> tensor<1x3xf32> loc("a")
    %b = "top.Relu"(%in) : (tensor<1x3xf32>) -> tensor<1x3xf32> loc("b")
    %c = "top.Relu"(%in) {relu_limit = 6.0 : f64} : (tensor<1x3xf32>) -> tensor<1x3xf32> loc("c")
    %s = "top.Add"(%a, %b, %c) : (tensor<1x3xf32>, tensor<1x3xf32>, tensor<1x3xf32>) -> tensor<1x3xf32> loc("s")
    %d = "top.Relu"(%in) : (tensor<1x3xf32>) -> tensor<1x3xf32> loc("d")
    return %s, %d : tensor<1x3xf32>, tensor<1x3xf32>
  }
}
