// What the verifiers of Reshape and Pad refuse.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x255xf32> {
  // expected-error@+1 {{'top.Reshape' op [1, 4, 8, 8] (256 elements) cannot become [1, 255] (255 elements)}}
  %0 = "top.Reshape"(%x) {shape = [1, 255]} : (tensor<1x4x8x8xf32>) -> tensor<1x255xf32>
  return %0 : tensor<1x255xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Pad' op requires attribute 'paddings'}}
  %0 = "top.Pad"(%x) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Pad' op paddings has 4 entries, expected 8 (twice the rank of [1, 4, 8, 8])}}
  %0 = "top.Pad"(%x) {paddings = [0, 0, 1, 1]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x10x10xf32> {
  // expected-error@+1 {{'top.Pad' op unknown mode 'mirror', expected constant, reflect or edge}}
  %0 = "top.Pad"(%x) {paddings = [0, 0, 1, 1, 0, 0, 1, 1], mode = "mirror"} : (tensor<1x4x8x8xf32>) -> tensor<1x4x10x10xf32>
  return %0 : tensor<1x4x10x10xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Pad' op result shape is [1, 4, 8, 8], expected [1, 4, 10, 10]}}
  %0 = "top.Pad"(%x) {paddings = [0, 0, 1, 1, 0, 0, 1, 1]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Pad' op dimension 2 of size 8 cannot be padded by -8 and 0 (constant)}}
  %0 = "top.Pad"(%x) {paddings = [0, 0, -8, 0, 0, 0, 0, 0]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x16x8xf32> {
  // expected-error@+1 {{'top.Pad' op dimension 2 of size 8 cannot be padded by 8 and 0 (reflect)}}
  %0 = "top.Pad"(%x) {paddings = [0, 0, 8, 0, 0, 0, 0, 0], mode = "reflect"} : (tensor<1x4x8x8xf32>) -> tensor<1x4x16x8xf32>
  return %0 : tensor<1x4x16x8xf32>
}
