// Weights by name, absent operands, and the compression attributes of a weight.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @weights
// CHECK: "top.None"() : () -> none
// CHECK: "top.Weight"() : () -> tensor<8xf32>
// CHECK: "top.Weight"() {do_compress = true, scale = [1.000000e+00, 5.000000e-01]} : () -> tensor<8x3x3x3xf16>
// CHECK: "top.Weight"() {allow_split = [1, 1]} : () -> tensor<4xi8>
func.func @weights() -> tensor<8xf32> {
  %none = "top.None"() : () -> none
  %0 = "top.Weight"() : () -> tensor<8xf32> loc("conv_bias")
  %1 = "top.Weight"() {do_compress = true, scale = [1.000000e+00, 5.000000e-01]} : () -> tensor<8x3x3x3xf16>
  %2 = "top.Weight"() {allow_split = [1, 1]} : () -> tensor<4xi8>
  return %0 : tensor<8xf32>
}
