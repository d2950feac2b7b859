// Round trip through text and bytecode of ops that move elements; defaults are written out.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode -o %t.mlirbc && %tpuc-opt %t.mlirbc | FileCheck %s

module @net {
  func.func @main(%arg0: tensor<1x4x6x8xf32>) -> tensor<1x4x3x4xf32> {
    %none = "top.None"() : () -> none
    %w = "top.Weight"() : () -> tensor<2xf32> loc("w")
    // CHECK: "top.Permute"({{.*}}) {order = [0, 2, 3, 1]} : (tensor<1x4x6x8xf32>) -> tensor<1x6x8x4xf32> loc(#[[P:.*]])
    %p = "top.Permute"(%arg0) {order = [0, 2, 3, 1]} : (tensor<1x4x6x8xf32>) -> tensor<1x6x8x4xf32> loc("p")
    // CHECK: "top.Slice"({{.*}}) {axes = [], ends = [1, 4, 9223372036854775807, -1], hasparamConvert_axes = [2, 3], offset = [0, 0, 0, 1], steps = [1, 1, 2, 3]} : (tensor<1x4x6x8xf32>, none, none, none) -> tensor<1x4x3x2xf32>
    %s = "top.Slice"(%arg0, %none, %none, %none) {offset = [0, 0, 0, 1], steps = [1, 1, 2, 3], ends = [1, 4, 9223372036854775807, -1], axes = [], hasparamConvert_axes = [2, 3]} : (tensor<1x4x6x8xf32>, none, none, none) -> tensor<1x4x3x2xf32> loc("s")
    // Named axes only, one of them backwards.
    // CHECK: "top.Slice"({{.*}}axes = [-1]{{.*}} -> tensor<1x4x6x4xf32>
    %s2 = "top.Slice"(%arg0, %none, %none, %none) {offset = [7], steps = [-2], ends = [-100], axes = [-1]} : (tensor<1x4x6x8xf32>, none, none, none) -> tensor<1x4x6x4xf32> loc("s2")
    // CHECK: "top.Split"({{.*}}) {axis = 1 : si32, num = 2 : i64, split_size = [1, 3]} : (tensor<1x4x6x8xf32>) -> (tensor<1x1x6x8xf32>, tensor<1x3x6x8xf32>) loc(#[[PARTS:.*]])
    %a, %b = "top.Split"(%arg0) {axis = 1 : si32, num = 2 : i64, split_size = [1, 3]} : (tensor<1x4x6x8xf32>) -> (tensor<1x1x6x8xf32>, tensor<1x3x6x8xf32>) loc(fused["a", "b"])
    // CHECK: "top.Concat"({{.*}}) {axis = 1 : si32, do_relu = false, only_merge = false, relu_limit = -1.000000e+00 : f64, round_mode = "HalfAwayFromZero"}
    %c = "top.Concat"(%b, %a) {axis = 1 : si32} : (tensor<1x3x6x8xf32>, tensor<1x1x6x8xf32>) -> tensor<1x4x6x8xf32> loc("c")
    // CHECK: "top.Unsqueeze"({{.*}}) {axes = [0, -1]} : (tensor<1x4x6x8xf32>) -> tensor<1x1x4x6x8x1xf32>
    %u = "top.Unsqueeze"(%c) {axes = [0, -1]} : (tensor<1x4x6x8xf32>) -> tensor<1x1x4x6x8x1xf32> loc("u")
    // CHECK: "top.Squeeze"({{.*}}) {axes = [], is_scalar = false} : (tensor<1x1x4x6x8x1xf32>) -> tensor<4x6x8xf32>
    %q = "top.Squeeze"(%u) {axes = []} : (tensor<1x1x4x6x8x1xf32>) -> tensor<4x6x8xf32> loc("q")
    // CHECK: "top.Tile"({{.*}}) {tile = [1, 2, 1]} : (tensor<4x6x8xf32>) -> tensor<4x12x8xf32>
    %t = "top.Tile"(%q) {tile = [1, 2, 1]} : (tensor<4x6x8xf32>) -> tensor<4x12x8xf32> loc("t")
    // CHECK: "top.Expand"({{.*}}) {shape = [2, 1, 1, 8]} : (tensor<4x12x8xf32>) -> tensor<2x4x12x8xf32>
    %e = "top.Expand"(%t) {shape = [2, 1, 1, 8]} : (tensor<4x12x8xf32>) -> tensor<2x4x12x8xf32> loc("e")
    // CHECK: "top.Gather"({{.*}}) {axis = 2 : si32, is_lora = false, is_scalar = false, keepdims = true} : (tensor<2x4x12x8xf32>, tensor<2xf32>) -> tensor<2x4x2x8xf32>
    %g = "top.Gather"(%e, %w) {axis = 2 : si32} : (tensor<2x4x12x8xf32>, tensor<2xf32>) -> tensor<2x4x2x8xf32> loc("g")
    // CHECK: "top.Reverse"({{.*}}) {axis = 3 : i64}
    %r = "top.Reverse"(%g) {axis = 3 : i64} : (tensor<2x4x2x8xf32>) -> tensor<2x4x2x8xf32> loc("r")
    // CHECK: "top.Depth2Space"({{.*}}) {block_h = 2 : i64, block_w = 2 : i64, in_is_NCHW = true, is_CRD = true, is_inversed = false, out_is_NCHW = true, swap_cr = false} : (tensor<2x4x2x8xf32>) -> tensor<2x1x4x16xf32>
    %d = "top.Depth2Space"(%r) {block_h = 2 : i64, block_w = 2 : i64, is_CRD = true, is_inversed = false} : (tensor<2x4x2x8xf32>) -> tensor<2x1x4x16xf32> loc("d")
    // CHECK: "top.Depth2Space"({{.*}}is_inversed = true{{.*}} : (tensor<1x4x6x8xf32>) -> tensor<1x16x3x4xf32>
    %i = "top.Depth2Space"(%arg0) {block_h = 2 : i64, block_w = 2 : i64, is_CRD = false, is_inversed = true} : (tensor<1x4x6x8xf32>) -> tensor<1x16x3x4xf32> loc("i")
    %o = "top.Slice"(%i, %none, %none, %none) {offset = [0], steps = [1], ends = [4], axes = [1]} : (tensor<1x16x3x4xf32>, none, none, none) -> tensor<1x4x3x4xf32> loc("o")
    return %o : tensor<1x4x3x4xf32>
  }
}
// CHECK: #[[P]] = loc("p")
// CHECK: #[[PARTS]] = loc(fused[
