// Matrix products with weights and between activations.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @dense
// CHECK: "top.MatMul"(%{{.*}}, %{{.*}}, %{{.*}}) {do_relu = true, dq_type = "NONE", hdim_is_batch = false, is_lora = false, keep_dims = true, left_transpose = false, output_transpose = false, q_group_size = 0 : i64, relu_limit = -1.000000e+00 : f64, right_transpose = false} : (tensor<2x16xf32>, tensor<16x10xf32>, tensor<10xf32>) -> tensor<2x10xf32>
func.func @dense(%x: tensor<2x16xf32>) -> tensor<2x10xf32> {
  %w = "top.Weight"() : () -> tensor<16x10xf32>
  %b = "top.Weight"() : () -> tensor<10xf32>
  %0 = "top.MatMul"(%x, %w, %b) {do_relu = true} : (tensor<2x16xf32>, tensor<16x10xf32>, tensor<10xf32>) -> tensor<2x10xf32>
  return %0 : tensor<2x10xf32>
}

// CHECK-LABEL: func.func @batched_transposed
// CHECK: "top.MatMul"(%{{.*}}, %{{.*}}, %{{.*}}) {do_relu = false, dq_type = "NONE", hdim_is_batch = false, is_lora = false, keep_dims = true, left_transpose = false, output_transpose = false, q_group_size = 0 : i64, relu_limit = -1.000000e+00 : f64, right_transpose = true} : (tensor<4x2x16xf32>, tensor<4x10x16xf32>, none) -> tensor<4x2x10xf32>
func.func @batched_transposed(%x: tensor<4x2x16xf32>, %y: tensor<4x10x16xf32>) -> tensor<4x2x10xf32> {
  %none = "top.None"() : () -> none
  %0 = "top.MatMul"(%x, %y, %none) {right_transpose = true} : (tensor<4x2x16xf32>, tensor<4x10x16xf32>, none) -> tensor<4x2x10xf32>
  return %0 : tensor<4x2x10xf32>
}

// CHECK-LABEL: func.func @flat
// CHECK: "top.MatMul"(%{{.*}}, %{{.*}}, %{{.*}}) {do_relu = false, dq_type = "NONE", hdim_is_batch = false, is_lora = false, keep_dims = false, left_transpose = false, output_transpose = false, q_group_size = 0 : i64, relu_limit = -1.000000e+00 : f64, right_transpose = false} : (tensor<4x2x16xf32>, tensor<16x10xf32>, none) -> tensor<8x10xf32>
func.func @flat(%x: tensor<4x2x16xf32>) -> tensor<8x10xf32> {
  %none = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<16x10xf32>
  %0 = "top.MatMul"(%x, %w, %none) {keep_dims = false} : (tensor<4x2x16xf32>, tensor<16x10xf32>, none) -> tensor<8x10xf32>
  return %0 : tensor<8x10xf32>
}
