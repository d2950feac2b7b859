// What the verifier of top.Conv refuses.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %none = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op requires attribute 'kernel_shape'}}
  %0 = "top.Conv"(%x, %w, %none) {pads = [1, 1, 1, 1], strides = [1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op strides has 1 entries, expected 2}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op strides holds 0, expected at least 1}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [0, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op pads has 2 entries, expected 4}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1], strides = [1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op pads holds -1, expected at least 0}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [-1, 1, 1, 1], strides = [1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op dilations has 1 entries, expected 2}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1], dilations = [1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op dilations holds 0, expected at least 1}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1], dilations = [0, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op filter [4, 3, 3, 3] does not have the kernel_shape [5, 5]}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [5, 5], pads = [1, 1, 1, 1], strides = [1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op filter [4, 3, 3, 3] does not fit 3 input channels in 3 groups}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1], group = 3 : i64} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op filter [4, 3, 3, 3] does not fit 3 input channels in 0 groups}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1], group = 0 : i64} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.Weight"() : () -> tensor<3xf32>
  // expected-error@+1 {{'top.Conv' op bias has 3 elements, expected 4 (output channels)}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, tensor<3xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x7xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op result shape is [1, 4, 8, 7], expected [1, 4, 8, 8]}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x7xf32>
  return %0 : tensor<1x4x8x7xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op kernel_shape has 0 dimensions, expected 1 to 3}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [], pads = [], strides = []} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op kernel_shape has 4 dimensions, expected 1 to 3}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [1, 1, 1, 1], pads = [0, 0, 0, 0, 0, 0, 0, 0], strides = [1, 1, 1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op a kernel of 2 dimensions needs input and filter of 4 dimensions, found [3, 8, 8] and [4, 3, 3, 3]}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1]} : (tensor<3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x1x1xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op a kernel of 3 does not fit into 1 elements with 0 of padding}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [0, 0, 0, 0], strides = [1, 1]} : (tensor<1x3x1x1xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op attribute 'kernel_shape' failed to satisfy constraint: 64-bit integer array attribute}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = "three", pads = [1, 1, 1, 1], strides = [1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Weight' op type tensor<4x3x9223372036854775807x3xf32> is too large}}
  %w = "top.Weight"() : () -> tensor<4x3x9223372036854775807x3xf32>
  %b = "top.None"() : () -> none
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [9223372036854775807, 3], pads = [1, 1, 1, 1], strides = [1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x9223372036854775807x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op dilations holds 9223372036854775807, expected at most 16777216}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1], dilations = [9223372036854775807, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  %b = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op pads holds 9223372036854775807, expected at most 16777216}}
  %0 = "top.Conv"(%x, %w, %b) {kernel_shape = [3, 3], pads = [9223372036854775807, 1, 9223372036854775807, 1], strides = [1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = "top.Weight"() : () -> tensor<4x3x3x3xf32>
  // expected-error@+1 {{'top.Conv' op expected 3 operands, but found 2}}
  %0 = "top.Conv"(%x, %w) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1]} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %none = "top.None"() : () -> none
  // expected-error@+1 {{'top.Conv' op operand #1 must be ranked tensor of any type values, but got 'none'}}
  %0 = "top.Conv"(%x, %none, %none) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1]} : (tensor<1x3x8x8xf32>, none, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}
