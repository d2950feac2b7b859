// Nearest resizing by one whole factor repeats pixels; other factors and linear resizing stay.
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s --top-interp-to-upsample | FileCheck %s

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK: "top.Upsample"(%[[IN]]) {do_relu = false, relu_limit = -1.000000e+00 : f64, scale_h = 2 : i64, scale_w = 2 : i64}
// CHECK: "top.Interp"({{.*}} -> tensor<1x2x6x12xf32>
// CHECK: "top.Interp"({{.*}}align_corners
// CHECK: "top.Interp"({{.*}}linear
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x3x4xf32>) -> (tensor<1x2x6x8xf32>, tensor<1x2x6x12xf32>, tensor<1x2x9x12xf32>, tensor<1x2x6x8xf32>) {
    %n = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32> loc("in")
    %a = "top.Interp"(%in, %n) {mode = "nearest", coord_mode = "half_pixel", scale_h = 2.0 : f64, scale_w = 2.0 : f64} : (tensor<1x2x3x4xf32>, none) -> tensor<1x2x6x8xf32> loc("a")
    %b = "top.Interp"(%in, %n) {mode = "nearest", coord_mode = "asymmetric", scale_h = 2.0 : f64, scale_w = 3.0 : f64} : (tensor<1x2x3x4xf32>, none) -> tensor<1x2x6x12xf32> loc("b")
    %c = "top.Interp"(%in, %n) {mode = "nearest", coord_mode = "align_corners", scale_h = 3.0 : f64, scale_w = 3.0 : f64} : (tensor<1x2x3x4xf32>, none) -> tensor<1x2x9x12xf32> loc("c")
    %d = "top.Interp"(%in, %n) {mode = "linear", coord_mode = "half_pixel", scale_h = 2.0 : f64, scale_w = 2.0 : f64} : (tensor<1x2x3x4xf32>, none) -> tensor<1x2x6x8xf32> loc("d")
    return %a, %b, %c, %d : tensor<1x2x6x8xf32>, tensor<1x2x6x12xf32>, tensor<1x2x9x12xf32>, tensor<1x2x6x8xf32>
  }
}
