// Activation functions written as several ops, and powers that are simpler.
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s --top-fuse-activation | FileCheck %s

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK-NEXT: %[[SILU:.*]] = "top.SiLU"(%[[IN]]) : {{.*}}loc(#[[NAME:.*]])
// CHECK-NEXT: %[[GELU:.*]] = "top.GELU"(%[[SILU]])
// CHECK-NEXT: %[[SQUARE:.*]] = "top.Mul"(%[[GELU]], %[[GELU]])
// CHECK-NEXT: %[[ROOT:.*]] = "top.Sqrt"(%[[SQUARE]])
// CHECK-NEXT: "top.Pow"(%[[ROOT]]) {exponent = 3.000000e+00
// A sigmoid that somebody else reads, or of another tensor, stays.
// CHECK-NEXT: "top.Sigmoid"
// CHECK-NEXT: "top.Mul"
// CHECK-NEXT: "top.Mul"
// CHECK-DAG: #[[NAME]] = loc("silu")
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> (tensor<1x2x4x4xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %gate = "top.Sigmoid"(%in) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("gate")
    %silu = "top.Mul"(%gate, %in) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("silu")
    %inner = "top.MulConst"(%silu) {const_val = 0.7071067690849304 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("inner")
    %erf = "top.Erf"(%inner) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("erf")
    %plus = "top.AddConst"(%erf) {const_val = 1.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("plus")
    %half = "top.MulConst"(%silu) {const_val = 0.5 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("half")
    %gelu = "top.Mul"(%half, %plus) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("gelu")
    %square = "top.Pow"(%gelu) {exponent = 2.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("square")
    %root = "top.Pow"(%square) {exponent = 0.5 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("root")
    %cube = "top.Pow"(%root) {exponent = 3.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("cube")
    %shared = "top.Sigmoid"(%cube) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("shared")
    %kept = "top.Mul"(%cube, %shared) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("kept")
    %out = "top.Mul"(%kept, %shared) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("out")
    return %out : tensor<1x2x4x4xf32>
  }
}
