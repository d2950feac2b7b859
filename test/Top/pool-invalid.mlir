// What the verifier of the poolings refuses.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.MaxPool' op requires attribute 'pads'}}
  %0 = "top.MaxPool"(%x) {kernel_shape = [3, 3], strides = [2, 2]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.MaxPool' op result shape is [1, 4, 8, 8], expected [1, 4, 3, 3]}}
  %0 = "top.MaxPool"(%x) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 0]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.AvgPool' op strides holds 0, expected at least 1}}
  %0 = "top.AvgPool"(%x) {kernel_shape = [3, 3], strides = [0, 2], pads = [0, 0, 0, 0]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x1x1xf32> {
  // expected-error@+1 {{'top.AvgPool' op a kernel of 9 does not fit into 8 elements with 0 of padding}}
  %0 = "top.AvgPool"(%x) {kernel_shape = [9, 9], strides = [2, 2], pads = [0, 0, 0, 0]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x1x1xf32>
  return %0 : tensor<1x4x1x1xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.AvgPool' op pads has 2 entries, expected 4}}
  %0 = "top.AvgPool"(%x) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<8x8xf32>) -> tensor<3x3xf32> {
  // expected-error@+1 {{'top.MaxPool' op a kernel of 2 dimensions needs an input of more dimensions, found [8, 8]}}
  %0 = "top.MaxPool"(%x) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 0]} : (tensor<8x8xf32>) -> tensor<3x3xf32>
  return %0 : tensor<3x3xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x3x3xf32> {
  // expected-error@+1 {{'top.MaxPool' op result shape is [1, 4, 3, 3], expected [1, 4]}}
  %0 = "top.MaxPool"(%x) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 0], keepdims = false} : (tensor<1x4x8x8xf32>) -> tensor<1x4x3x3xf32>
  return %0 : tensor<1x4x3x3xf32>
}
