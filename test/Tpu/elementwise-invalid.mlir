// What the verifiers of elementwise Tpu ops refuse.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<1x4x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4x!quant.uniform<i8:f32, 0.5>> {
  %t = "top.Weight"() : () -> tensor<255xi8>
  // expected-error@+1 {{'tpu.Lut' op table has 255 elements, expected 256}}
  %0 = "tpu.Lut"(%x, %t) : (tensor<1x4x!quant.uniform<i8:f32, 0.5>>, tensor<255xi8>) -> tensor<1x4x!quant.uniform<i8:f32, 0.5>>
  return %0 : tensor<1x4x!quant.uniform<i8:f32, 0.5>>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.Active' op coeffs has 0 entries, expected 1}}
  %0 = "tpu.Active"(%x) {mode = #tpu<active_mode ELU>} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.Clip' op [1, -1] is not a range}}
  %0 = "tpu.Clip"(%x) {min = 1.0, max = -1.0} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.Sub' op multipliers has 1 entries, expected 2 (inputs)}}
  %0 = "tpu.Sub"(%x, %x) {multipliers = [1], rshifts = [1, 1]} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.Max' op rshifts has 3 entries, expected 2 (inputs) or 1}}
  %0 = "tpu.Max"(%x, %x) {multipliers = [1, 1], rshifts = [1, 1, 1]} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.Mul' op expected at least 2 operands, found 1}}
  %0 = "tpu.Mul"(%x) : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.Div' op expected 2 operands, found 3}}
  %0 = "tpu.Div"(%x, %x, %x) : (tensor<1x4xf32>, tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4x2xf32>) -> tensor<1x4x2xf32> {
  %s = "top.Weight"() : () -> tensor<3x1xf32>
  // expected-error@+1 {{'tpu.PReluOp' op slope [3, 1] does not broadcast to the input [1, 4, 2]}}
  %0 = "tpu.PReluOp"(%x, %s) : (tensor<1x4x2xf32>, tensor<3x1xf32>) -> tensor<1x4x2xf32>
  return %0 : tensor<1x4x2xf32>
}

// -----

func.func @f(%x: tensor<1x4x2xf32>) -> tensor<1x4x2xf32> {
  %none = "top.None"() : () -> none
  %s = "top.Weight"() : () -> tensor<3xf32>
  // expected-error@+1 {{'tpu.Scale' op a parameter has 3 elements, expected 4 (channels)}}
  %0 = "tpu.Scale"(%x, %s, %none, %none) : (tensor<1x4x2xf32>, tensor<3xf32>, none, none) -> tensor<1x4x2xf32>
  return %0 : tensor<1x4x2xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.Compare' op unknown mode 'Near', expected one of Equal, NotEqual, Greater, GreaterOrEqual, Less, LessOrEqual, And, Xor, Not}}
  %0 = "tpu.Compare"(%x, %x) {mode = "Near"} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>, %y: tensor<1x3xf32>) -> tensor<1x4xf32> {
  %none = "top.None"() : () -> none
  // expected-error@+1 {{'tpu.Where' op shapes [1, 4] and [1, 3] do not broadcast}}
  %0 = "tpu.Where"(%x, %x, %y, %none) : (tensor<1x4xf32>, tensor<1x4xf32>, tensor<1x3xf32>, none) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.MulConst' op const_val is not a number}}
  %0 = "tpu.MulConst"(%x) {const_val = 0x7FF8000000000000 : f64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}
