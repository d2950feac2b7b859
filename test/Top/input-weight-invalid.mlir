// What the verifiers of inputs and weights refuse.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x9xf32> {
  // expected-error@+1 {{'top.Input' op result shape is [1, 4, 8, 9], expected [1, 4, 8, 8]}}
  %0 = "top.Input"(%x) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x9xf32>
  return %0 : tensor<1x4x8x9xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Input' op attribute 'do_preprocess' failed to satisfy constraint: bool attribute}}
  %0 = "top.Input"(%x) {do_preprocess = 1 : i64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Input' op attribute 'mean' failed to satisfy constraint: 64-bit float array attribute}}
  %0 = "top.Input"(%x) {mean = ["a"]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Weight' op requires zero operands}}
  %0 = "top.Weight"(%x) : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f() -> none {
  // expected-error@+1 {{'top.Weight' op result #0 must be ranked tensor of any type values, but got 'none'}}
  %0 = "top.Weight"() : () -> none
  return %0 : none
}

// -----

func.func @f() -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.None' op result #0 must be none type, but got 'tensor<1x4xf32>'}}
  %0 = "top.None"() : () -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f() -> none {
  // expected-error@+1 {{unregistered operation 'top.Lstm' found in dialect ('top') that does not allow unknown operations}}
  %0 = "top.Lstm"() : () -> none
  return %0 : none
}
