// What the verifiers of BatchNorm and Scale refuse.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %m = "top.Weight"() : () -> tensor<3xf32>
  %v = "top.Weight"() : () -> tensor<4xf32>
  %g = "top.Weight"() : () -> tensor<4xf32>
  // expected-error@+1 {{'top.BatchNorm' op mean has 3 elements, expected 4 (channels)}}
  %0 = "top.BatchNorm"(%x, %m, %v, %g, %g) : (tensor<1x4x8x8xf32>, tensor<3xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %m = "top.Weight"() : () -> tensor<4xf32>
  %v = "top.Weight"() : () -> tensor<3xf32>
  %g = "top.Weight"() : () -> tensor<4xf32>
  // expected-error@+1 {{'top.BatchNorm' op variance has 3 elements, expected 4 (channels)}}
  %0 = "top.BatchNorm"(%x, %m, %v, %g, %g) : (tensor<1x4x8x8xf32>, tensor<4xf32>, tensor<3xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %m = "top.Weight"() : () -> tensor<4xf32>
  %v = "top.Weight"() : () -> tensor<4xf32>
  %g = "top.Weight"() : () -> tensor<3xf32>
  // expected-error@+1 {{'top.BatchNorm' op gamma has 3 elements, expected 4 (channels)}}
  %0 = "top.BatchNorm"(%x, %m, %v, %g, %g) : (tensor<1x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %m = "top.Weight"() : () -> tensor<4xf32>
  %v = "top.Weight"() : () -> tensor<4xf32>
  // expected-error@+1 {{'top.Weight' op result #0 must be ranked tensor of any type values, but got 'none'}}
  %g = "top.Weight"() : () -> none
  %0 = "top.BatchNorm"(%x, %m, %v, %g, %g) : (tensor<1x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>, none, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %s = "top.Weight"() : () -> tensor<1x3x1x1xf32>
  // expected-error@+1 {{'top.Scale' op scale has 3 elements, expected 4 (channels)}}
  %0 = "top.Scale"(%x, %s, %s) : (tensor<1x4x8x8xf32>, tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}
