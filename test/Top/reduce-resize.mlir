// Round trip of reductions, normalizations, resizing, choices and transposed convolution.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode -o %t.mlirbc && %tpuc-opt %t.mlirbc | FileCheck %s

module @net {
  func.func @main(%x: tensor<1x4x6x8xf32>, %w: tensor<6x4x3x3xf32>, %l: tensor<1x1x1x8xf32>, %c: tensor<1x4x1x1xf32>) -> tensor<1x6x13x17xf32> {
    %n = "top.None"() : () -> none
    // CHECK: "top.Reduce"({{.*}}) {axes = [1, 3], is_scalar = false, keepdims = false, mode = "ReduceL2"} : (tensor<1x4x6x8xf32>) -> tensor<1x6xf32>
    %r = "top.Reduce"(%x) {axes = [1, 3], keepdims = false, mode = "ReduceL2"} : (tensor<1x4x6x8xf32>) -> tensor<1x6xf32> loc("r")
    // CHECK: "top.Arg"({{.*}}) {axis = 1 : i64, keepdims = true, mode = "ArgMax", select_last_index = true} : (tensor<1x4x6x8xf32>) -> (tensor<1x1x6x8xf32>, none)
    %a, %v = "top.Arg"(%x) {axis = 1 : i64, keepdims = true, mode = "ArgMax"} : (tensor<1x4x6x8xf32>) -> (tensor<1x1x6x8xf32>, none) loc("a")
    // CHECK: "top.LayerNorm"({{.*}}) {axis = 3 : si32, eps = 1.000000e-05 : f64, normalized_shape = [8]} : (tensor<1x4x6x8xf32>, tensor<1x1x1x8xf32>, none) -> tensor<1x4x6x8xf32>
    %ln = "top.LayerNorm"(%x, %l, %n) {axis = 3 : si32, eps = 1.000000e-05 : f64, normalized_shape = [8]} : (tensor<1x4x6x8xf32>, tensor<1x1x1x8xf32>, none) -> tensor<1x4x6x8xf32> loc("ln")
    // CHECK: "top.InstanceNorm"({{.*}}) {eps = 1.000000e-05 : f64} : (tensor<1x4x6x8xf32>, tensor<1x4x1x1xf32>, tensor<1x4x1x1xf32>)
    %in = "top.InstanceNorm"(%ln, %c, %c) {eps = 1.000000e-05 : f64} : (tensor<1x4x6x8xf32>, tensor<1x4x1x1xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x6x8xf32> loc("in")
    // CHECK: "top.GroupNorm"({{.*}}) {eps = 1.000000e-05 : f64, num_groups = 2 : i64}
    %gn = "top.GroupNorm"(%in, %n, %n) {eps = 1.000000e-05 : f64, num_groups = 2 : i64} : (tensor<1x4x6x8xf32>, none, none) -> tensor<1x4x6x8xf32> loc("gn")
    // CHECK: "top.Upsample"({{.*}}) {do_relu = false, relu_limit = -1.000000e+00 : f64, scale_h = 2 : i64, scale_w = 2 : i64} : (tensor<1x4x6x8xf32>) -> tensor<1x4x12x16xf32>
    %u = "top.Upsample"(%gn) {scale_h = 2 : i64, scale_w = 2 : i64} : (tensor<1x4x6x8xf32>) -> tensor<1x4x12x16xf32> loc("u")
    // CHECK: "top.Interp"({{.*}}) {coord_mode = "half_pixel", mode = "linear", scale_h = 5.000000e-01 : f64, scale_w = 5.000000e-01 : f64} : (tensor<1x4x12x16xf32>, none) -> tensor<1x4x6x8xf32>
    %i = "top.Interp"(%u, %n) {coord_mode = "half_pixel", mode = "linear", scale_h = 0.5 : f64, scale_w = 0.5 : f64} : (tensor<1x4x12x16xf32>, none) -> tensor<1x4x6x8xf32> loc("i")
    // CHECK: "top.Compare"({{.*}}) {mode = "Greater"} : (tensor<1x4x6x8xf32>, tensor<1x1x1x8xf32>) -> tensor<1x4x6x8xf32>
    %g = "top.Compare"(%i, %l) {mode = "Greater"} : (tensor<1x4x6x8xf32>, tensor<1x1x1x8xf32>) -> tensor<1x4x6x8xf32> loc("g")
    // CHECK: "top.CompareConst"({{.*}}) {const_val = 5.000000e-01 : f64, inversed = false, is_scalar = false, mode = "Less"}
    %k = "top.CompareConst"(%g) {const_val = 0.5 : f64, inversed = false, mode = "Less"} : (tensor<1x4x6x8xf32>) -> tensor<1x4x6x8xf32> loc("k")
    // CHECK: "top.Where"({{.*}}) {x_const_val = 0.000000e+00 : f64, x_is_const = false, y_const_val = 2.000000e+00 : f64, y_is_const = true} : (tensor<1x4x6x8xf32>, tensor<1x4x6x8xf32>, none)
    %h = "top.Where"(%k, %i, %n) {y_is_const = true, y_const_val = 2.0 : f64} : (tensor<1x4x6x8xf32>, tensor<1x4x6x8xf32>, none) -> tensor<1x4x6x8xf32> loc("h")
    // CHECK: "top.Deconv"({{.*}}) {do_relu = false, dynweight_reorderd = false, group = 1 : i64, kernel_shape = [3, 3], pads = [0, 0, 0, 0], relu_limit = -1.000000e+00 : f64, strides = [2, 2]} : (tensor<1x4x6x8xf32>, tensor<6x4x3x3xf32>, none) -> tensor<1x6x13x17xf32>
    %d = "top.Deconv"(%h, %w, %n) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 0]} : (tensor<1x4x6x8xf32>, tensor<6x4x3x3xf32>, none) -> tensor<1x6x13x17xf32> loc("d")
    return %d : tensor<1x6x13x17xf32>
  }
}
