// Chains of reshapes are one, reshapes to the same shape are none, nor are a Squeeze and an Unsqueeze that undo each other; an output
// keeps its op.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w:1=1
// RUN: %tpuc-opt %s --top-simplify-reshape | FileCheck %s

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK: %[[FLAT:.*]] = "top.Reshape"(%[[IN]]) {{.*}}shape = [32]
// CHECK: %[[RELU:.*]] = "top.Relu"(%[[FLAT]])
// CHECK: %[[OUT:.*]] = "top.Reshape"(%[[RELU]]){{.*}} -> tensor<32xf32>
// CHECK: return %[[OUT]]
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<32xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %u = "top.Unsqueeze"(%in) {axes = [0]} : (tensor<1x2x4x4xf32>) -> tensor<1x1x2x4x4xf32> loc("u")
    %s = "top.Squeeze"(%u) {axes = [1]} : (tensor<1x1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("s")
    %a = "top.Reshape"(%s) {shape = [1, 32]} : (tensor<1x2x4x4xf32>) -> tensor<1x32xf32> loc("a")
    %b = "top.Reshape"(%a) {flatten_start_dim = 0 : i64} : (tensor<1x32xf32>) -> tensor<32xf32> loc("b")
    %relu = "top.Relu"(%b) : (tensor<32xf32>) -> tensor<32xf32> loc("relu")
    %out = "top.Reshape"(%relu) {shape = [32]} : (tensor<32xf32>) -> tensor<32xf32> loc("out")
    return %out : tensor<32xf32>
  }
}
