// Round trip of an attention: with one source and biases, and with keys from elsewhere and a mask.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode -o %t.mlirbc && %tpuc-opt %t.mlirbc | FileCheck %s
// RUN: %tpuc-opt %s --shape-infer | FileCheck %s --check-prefix=SHAPE

// SHAPE: "top.Attention"{{.*}} -> tensor<2x3x8xf32>
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%x: tensor<2x3x8xf32>, %y: tensor<2x5x4xf32>, %m: tensor<2x1x1x5xf32>) -> tensor<2x3x8xf32> {
    %n = "top.None"() : () -> none
    %w = "top.Weight"() : () -> tensor<8x6xf32> loc("w")
    %wy = "top.Weight"() : () -> tensor<4x6xf32> loc("wy")
    %b = "top.Weight"() : () -> tensor<1x1x6xf32> loc("b")
    %o = "top.Weight"() : () -> tensor<6x8xf32> loc("o")
    // CHECK: "top.Attention"({{.*}}) {dim = 0 : i64, has_bias = 0 : i64, head = 2 : i64, scale = 5.000000e-01 : f64, scale_param = [1.000000e+00], zp_param = [0]} : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<8x6xf32>, tensor<1x1x6xf32>, tensor<8x6xf32>, tensor<1x1x6xf32>, tensor<8x6xf32>, none, tensor<6x8xf32>, none, none) -> tensor<2x3x8xf32>
    %0 = "top.Attention"(%x, %x, %x, %w, %b, %w, %b, %w, %n, %o, %n, %n) {head = 2 : i64, scale = 0.5 : f64} : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<8x6xf32>, tensor<1x1x6xf32>, tensor<8x6xf32>, tensor<1x1x6xf32>, tensor<8x6xf32>, none, tensor<6x8xf32>, none, none) -> tensor<2x3x8xf32> loc("self")
    // CHECK: "top.Attention"({{.*}}) {{{.*}}quantize_mode = "F16", scale = {{[^,]*}}, scale_param = [1.000000e-01, 2.000000e-01, 3.000000e-01, 4.000000e-01, 5.000000e-01, 6.000000e-01, 7.500000e-01]
    %1 = "top.Attention"(%0, %y, %y, %w, %n, %wy, %n, %wy, %n, %o, %n, %m) {head = 3 : i64, quantize_mode = "F16", scale = 0.5 : f64, scale_param = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75]} : (tensor<2x3x8xf32>, tensor<2x5x4xf32>, tensor<2x5x4xf32>, tensor<8x6xf32>, none, tensor<4x6xf32>, none, tensor<4x6xf32>, none, tensor<6x8xf32>, none, tensor<2x1x1x5xf32>) -> tensor<2x3x8xf32> loc("cross")
    return %1 : tensor<2x3x8xf32>
  }
}
