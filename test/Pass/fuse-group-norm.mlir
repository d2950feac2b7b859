// Reshape to groups, InstanceNorm, Reshape back, as GroupNorm; weights of groups become those of channels.
// RUN: mkdir -p %t && cd %t && %npz make w.npz g:2=3,4
// RUN: %tpuc-opt %s --top-fuse-group-norm -o out.mlir && FileCheck %s --input-file out.mlir
// RUN: %npz show out_weight.npz | FileCheck %s --check-prefix=WEIGHTS

// WEIGHTS: g_reorderd <f4 1x4x1x1: 3, 3, 4, 4

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK: "top.GroupNorm"(%[[IN]], %{{.*}}, %{{.*}}) {eps = 1.000000e-05 : f64, num_groups = 2 : i64} : (tensor<1x4x2x3xf32>, tensor<1x4x1x1xf32>, none) -> tensor<1x4x2x3xf32> loc(#[[NAME:.*]])
// Back to another shape: no GroupNorm.
// CHECK: "top.InstanceNorm"
// CHECK: #[[NAME]] = loc("n_r_GroupNorm")
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x4x2x3xf32>) -> (tensor<1x4x2x3xf32>, tensor<1x4x6xf32>) {
    %none = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x4x2x3xf32>) -> tensor<1x4x2x3xf32> loc("in")
    %g = "top.Weight"() : () -> tensor<2xf32> loc("g")
    %a = "top.Reshape"(%in) {shape = [1, 2, 12]} : (tensor<1x4x2x3xf32>) -> tensor<1x2x12xf32> loc("a")
    %n = "top.InstanceNorm"(%a, %g, %none) {eps = 1.000000e-05 : f64} : (tensor<1x2x12xf32>, tensor<2xf32>, none) -> tensor<1x2x12xf32> loc("n")
    %b = "top.Reshape"(%n) {shape = [1, 4, 2, 3]} : (tensor<1x2x12xf32>) -> tensor<1x4x2x3xf32> loc("b")
    %c = "top.Reshape"(%in) {shape = [1, 2, 12]} : (tensor<1x4x2x3xf32>) -> tensor<1x2x12xf32> loc("c")
    %m = "top.InstanceNorm"(%c, %none, %none) {eps = 1.000000e-05 : f64} : (tensor<1x2x12xf32>, none, none) -> tensor<1x2x12xf32> loc("m")
    %d = "top.Reshape"(%m) {shape = [1, 4, 6]} : (tensor<1x2x12xf32>) -> tensor<1x4x6xf32> loc("d")
    return %b, %d : tensor<1x4x2x3xf32>, tensor<1x4x6xf32>
  }
}
