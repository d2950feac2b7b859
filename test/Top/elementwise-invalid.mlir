// What the verifiers of elementwise ops refuse.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<1x4xf32>, %y: tensor<1x3xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Add' op shapes [1, 4] and [1, 3] do not broadcast}}
  %0 = "top.Add"(%x, %y) : (tensor<1x4xf32>, tensor<1x3xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>, %y: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Add' op coeff has 1 entries, expected 2 (inputs)}}
  %0 = "top.Add"(%x, %y) {coeff = [1.0]} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>, %y: tensor<1x4xf32>) -> tensor<1x5xf32> {
  // expected-error@+1 {{'top.Add' op result shape is [1, 5], expected [1, 4]}}
  %0 = "top.Add"(%x, %y) : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x5xf32>
  return %0 : tensor<1x5xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Add' op expected at least 1 operands, found 0}}
  %0 = "top.Add"() : () -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x9xf32> {
  // expected-error@+1 {{'top.Relu' op result shape is [1, 4, 8, 9], expected [1, 4, 8, 8]}}
  %0 = "top.Relu"(%x) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x9xf32>
  return %0 : tensor<1x4x8x9xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Relu' op attribute 'relu_limit' failed to satisfy constraint: 64-bit float attribute}}
  %0 = "top.Relu"(%x) {relu_limit = 6 : i64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Clip' op requires attribute 'max'}}
  %0 = "top.Clip"(%x) {min = 0.0 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Clip' op [2, 1] is not a range}}
  %0 = "top.Clip"(%x) {min = 2.0 : f64, max = 1.0 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: none) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Relu' op operand #0 must be ranked tensor of any type values, but got 'none'}}
  %0 = "top.Relu"(%x) : (none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Softmax' op requires attribute 'axis'}}
  %0 = "top.Softmax"(%x) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Softmax' op axis is 4, expected -4 to 3 (rank 4)}}
  %0 = "top.Softmax"(%x) {axis = 4 : si32} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Softmax' op axis is -5, expected -4 to 3 (rank 4)}}
  %0 = "top.Softmax"(%x) {axis = -5 : si32} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'top.Softmax' op attribute 'axis' failed to satisfy constraint: 32-bit signed integer attribute}}
  %0 = "top.Softmax"(%x) {axis = 1 : i64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error@+1 {{'top.Relu' op type tensor<?x4xf32> has an open dimension}}
  %0 = "top.Relu"(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @f(%x: tensor<*xf32>) -> tensor<*xf32> {
  // expected-error@+1 {{'top.Relu' op operand #0 must be ranked tensor of any type values, but got 'tensor<*xf32>'}}
  %0 = "top.Relu"(%x) : (tensor<*xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @f(%x: tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>> {
  // expected-error@+1 {{'top.Relu' op element type complex<f32> is not supported}}
  %0 = "top.Relu"(%x) : (tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>>
  return %0 : tensor<4xcomplex<f32>>
}

// -----

func.func @f(%x: tensor<4294967296x4294967296xf32>) -> tensor<4294967296x4294967296xf32> {
  // expected-error@+1 {{'top.Relu' op type tensor<4294967296x4294967296xf32> is too large}}
  %0 = "top.Relu"(%x) : (tensor<4294967296x4294967296xf32>) -> tensor<4294967296x4294967296xf32>
  return %0 : tensor<4294967296x4294967296xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Sub' op expected 2 operands, found 3}}
  %0 = "top.Sub"(%x, %x, %x) : (tensor<1x4xf32>, tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Sub' op coeff has 1 entries, expected 2 (inputs)}}
  %0 = "top.Sub"(%x, %x) {coeff = [1.0]} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Div' op expected 2 operands, found 1}}
  %0 = "top.Div"(%x) : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Pow3' op expected 2 operands, found 1}}
  %0 = "top.Pow3"(%x) : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Mul' op expected at least 2 operands, found 1}}
  %0 = "top.Mul"(%x) : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Max' op expected at least 2 operands, found 1}}
  %0 = "top.Max"(%x) : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Min' op expected at least 2 operands, found 1}}
  %0 = "top.Min"(%x) : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>, %y: tensor<1x3xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Mul' op shapes [1, 4] and [1, 3] do not broadcast}}
  %0 = "top.Mul"(%x, %y) : (tensor<1x4xf32>, tensor<1x3xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>, %y: tensor<3xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.PRelu' op slope [3] does not broadcast to the input [1, 4]}}
  %0 = "top.PRelu"(%x, %y) : (tensor<1x4xf32>, tensor<3xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>, %y: tensor<2x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.PRelu' op slope [2, 4] does not broadcast to the input [1, 4]}}
  %0 = "top.PRelu"(%x, %y) : (tensor<1x4xf32>, tensor<2x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.GELU' op approx_mode is 'exact', expected one of normal, tanh, sigm}}
  %0 = "top.GELU"(%x) {approx_mode = "exact"} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Tanh' op round_mode is 'Sideways', expected one of HalfAwayFromZero, HalfUp, HalfDown, HalfToEven, HalfToOdd, HalfTowardsZero, TowardsZero, Up, Down}}
  %0 = "top.Tanh"(%x) {round_mode = "Sideways"} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Sigmoid' op round_mode is 'Sideways', expected one of HalfAwayFromZero, HalfUp, HalfDown, HalfToEven, HalfToOdd, HalfTowardsZero, TowardsZero, Up, Down}}
  %0 = "top.Sigmoid"(%x) {round_mode = "Sideways"} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.GELU' op round_mode is 'Sideways', expected one of HalfAwayFromZero, HalfUp, HalfDown, HalfToEven, HalfToOdd, HalfTowardsZero, TowardsZero, Up, Down}}
  %0 = "top.GELU"(%x) {round_mode = "Sideways"} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.LeakyRelu' op round_mode is 'Sideways', expected one of HalfAwayFromZero, HalfUp, HalfDown, HalfToEven, HalfToOdd, HalfTowardsZero, TowardsZero, Up, Down}}
  %0 = "top.LeakyRelu"(%x) {alpha = 0.1 : f64, round_mode = "Sideways"} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.Swish' op round_mode is 'Sideways', expected one of HalfAwayFromZero, HalfUp, HalfDown, HalfToEven, HalfToOdd, HalfTowardsZero, TowardsZero, Up, Down}}
  %0 = "top.Swish"(%x) {beta = 1.0 : f64, round_mode = "Sideways"} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.MulConst' op const_val is not a number}}
  %0 = "top.MulConst"(%x) {const_val = 0x7FF8000000000000 : f64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'top.LeakyRelu' op alpha is not a number}}
  %0 = "top.LeakyRelu"(%x) {alpha = 0x7FF8000000000000 : f64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{'top.Abs' op result shape is [4], expected [1, 4]}}
  %0 = "top.Abs"(%x) : (tensor<1x4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{'top.AddConst' op result shape is [4], expected [1, 4]}}
  %0 = "top.AddConst"(%x) {const_val = 1.0 : f64} : (tensor<1x4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
