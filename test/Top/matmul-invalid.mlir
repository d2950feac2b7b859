// What the verifier of top.MatMul refuses.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<2x16xf32>) -> tensor<2x10xf32> {
  %w = "top.Weight"() : () -> tensor<15x10xf32>
  %none = "top.None"() : () -> none
  // expected-error@+1 {{'top.MatMul' op left [2, 16] has 16 columns, right [15, 10] has 15 rows}}
  %0 = "top.MatMul"(%x, %w, %none) : (tensor<2x16xf32>, tensor<15x10xf32>, none) -> tensor<2x10xf32>
  return %0 : tensor<2x10xf32>
}

// -----

func.func @f(%x: tensor<2x16xf32>) -> tensor<2x10xf32> {
  %w = "top.Weight"() : () -> tensor<16x10xf32>
  %none = "top.None"() : () -> none
  // expected-error@+1 {{'top.MatMul' op left [2, 16] has 16 columns, right [16, 10] has 10 rows}}
  %0 = "top.MatMul"(%x, %w, %none) {right_transpose = true} : (tensor<2x16xf32>, tensor<16x10xf32>, none) -> tensor<2x10xf32>
  return %0 : tensor<2x10xf32>
}

// -----

func.func @f(%x: tensor<16xf32>) -> tensor<10xf32> {
  %w = "top.Weight"() : () -> tensor<16x10xf32>
  %none = "top.None"() : () -> none
  // expected-error@+1 {{'top.MatMul' op operands need at least two dimensions, found [16] and [16, 10]}}
  %0 = "top.MatMul"(%x, %w, %none) : (tensor<16xf32>, tensor<16x10xf32>, none) -> tensor<10xf32>
  return %0 : tensor<10xf32>
}

// -----

func.func @f(%x: tensor<3x2x16xf32>) -> tensor<3x2x10xf32> {
  %w = "top.Weight"() : () -> tensor<4x16x10xf32>
  %none = "top.None"() : () -> none
  // expected-error@+1 {{'top.MatMul' op shapes [3] and [4] do not broadcast}}
  %0 = "top.MatMul"(%x, %w, %none) : (tensor<3x2x16xf32>, tensor<4x16x10xf32>, none) -> tensor<3x2x10xf32>
  return %0 : tensor<3x2x10xf32>
}

// -----

func.func @f(%x: tensor<2x16xf32>) -> tensor<10x2xf32> {
  %w = "top.Weight"() : () -> tensor<16x10xf32>
  %none = "top.None"() : () -> none
  // expected-error@+1 {{'top.MatMul' op hdim_is_batch and output_transpose are not supported}}
  %0 = "top.MatMul"(%x, %w, %none) {output_transpose = true} : (tensor<2x16xf32>, tensor<16x10xf32>, none) -> tensor<10x2xf32>
  return %0 : tensor<10x2xf32>
}

// -----

func.func @f(%x: tensor<2x16xf32>) -> tensor<2x11xf32> {
  %w = "top.Weight"() : () -> tensor<16x10xf32>
  %none = "top.None"() : () -> none
  // expected-error@+1 {{'top.MatMul' op result shape is [2, 11], expected [2, 10]}}
  %0 = "top.MatMul"(%x, %w, %none) : (tensor<2x16xf32>, tensor<16x10xf32>, none) -> tensor<2x11xf32>
  return %0 : tensor<2x11xf32>
}

// -----

func.func @f(%x: tensor<2x16xf32>) -> tensor<2x10xf32> {
  %w = "top.Weight"() : () -> tensor<16x10xf32>
  %b = "top.Weight"() : () -> tensor<9xf32>
  // expected-error@+1 {{'top.MatMul' op bias has 9 elements, expected 10 (columns)}}
  %0 = "top.MatMul"(%x, %w, %b) : (tensor<2x16xf32>, tensor<16x10xf32>, tensor<9xf32>) -> tensor<2x10xf32>
  return %0 : tensor<2x10xf32>
}
