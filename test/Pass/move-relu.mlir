// A Relu with its limit moves in front of a Concat, where it can be fused; not where one of the joined ops cannot have it.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w:2x2x1x1=1
// RUN: %tpuc-opt %s --top-move-relu -o out.mlir && FileCheck %s --input-file out.mlir
// RUN: %tpuc-opt %s --top-move-relu --top-fuse-relu | FileCheck %s --check-prefix=FUSED

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK: %[[A:.*]] = "top.Conv"
// CHECK: %[[B:.*]] = "top.MaxPool"
// CHECK: %[[RA:.*]] = "top.Relu"(%[[A]]) {relu_limit = 6.000000e+00 : f64} {{.*}} loc(#[[NAME:.*]])
// CHECK: %[[RB:.*]] = "top.Relu"(%[[B]]) {relu_limit = 6.000000e+00 : f64}
// CHECK: "top.Concat"(%[[RA]], %[[RB]]) {{.*}} loc(#[[CONCAT:.*]])
// CHECK-NEXT: %[[D:.*]] = "top.Concat"(%[[A]], %[[IN]])
// CHECK-NEXT: "top.Relu"(%[[D]])
// CHECK: #[[NAME]] = loc("a_move_ahead_relu")
// CHECK: #[[CONCAT]] = loc("c_relu")

// FUSED: "top.Conv"({{.*}}do_relu = false
// FUSED: "top.MaxPool"({{.*}}do_relu = true{{.*}}relu_limit = 6.000000e+00
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> (tensor<1x4x4x4xf32>, tensor<1x4x4x4xf32>) {
    %n = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %w = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("w")
    %a = "top.Conv"(%in, %w, %n) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32> loc("a")
    %b = "top.MaxPool"(%in) {kernel_shape = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1]} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("b")
    %c = "top.Concat"(%a, %b) {axis = 1 : si32} : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x4x4x4xf32> loc("c")
    %r = "top.Clip"(%c) {min = 0.0 : f64, max = 6.0 : f64} : (tensor<1x4x4x4xf32>) -> tensor<1x4x4x4xf32> loc("r")
    %d = "top.Concat"(%a, %in) {axis = 1 : si32} : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x4x4x4xf32> loc("d")
    %s = "top.Relu"(%d) : (tensor<1x4x4x4xf32>) -> tensor<1x4x4x4xf32> loc("s")
    return %r, %s : tensor<1x4x4x4xf32>, tensor<1x4x4x4xf32>
  }
}
