// What the verifiers of Tpu ops refuse.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>> {
  %w = "top.Weight"() : () -> tensor<2x3x3x3xi8>
  %b = "top.Weight"() : () -> tensor<2xi32>
  // expected-error@+1 {{'tpu.Conv2D' op a quantized result needs attribute 'multiplier'}}
  %0 = "tpu.Conv2D"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1]} : (tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>, tensor<2x3x3x3xi8>, tensor<2xi32>) -> tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>>
  return %0 : tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>>
}

// -----

func.func @f(%x: tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>> {
  %w = "top.Weight"() : () -> tensor<2x3x3x3xi8>
  %b = "top.Weight"() : () -> tensor<2xi32>
  // expected-error@+1 {{'tpu.Conv2D' op a quantized result needs attribute 'rshift'}}
  %0 = "tpu.Conv2D"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1], multiplier = [1, 2]} : (tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>, tensor<2x3x3x3xi8>, tensor<2xi32>) -> tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>>
  return %0 : tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>>
}

// -----

func.func @f(%x: tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>> {
  %w = "top.Weight"() : () -> tensor<2x3x3x3xi8>
  %b = "top.Weight"() : () -> tensor<2xi32>
  // expected-error@+1 {{'tpu.Conv2D' op multiplier has 3 entries, expected 2 (output channels)}}
  %0 = "tpu.Conv2D"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1], multiplier = [1, 2, 3], rshift = [1, 2]} : (tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>, tensor<2x3x3x3xi8>, tensor<2xi32>) -> tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>>
  return %0 : tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>>
}

// -----

func.func @f(%x: tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2x8x7x!quant.uniform<i8:f32, 0.5>> {
  %w = "top.Weight"() : () -> tensor<2x3x3x3xi8>
  %b = "top.Weight"() : () -> tensor<2xi32>
  // expected-error@+1 {{'tpu.Conv2D' op result shape is [1, 2, 8, 7], expected [1, 2, 8, 8]}}
  %0 = "tpu.Conv2D"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1], multiplier = [1, 2], rshift = [1, 2]} : (tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>, tensor<2x3x3x3xi8>, tensor<2xi32>) -> tensor<1x2x8x7x!quant.uniform<i8:f32, 0.5>>
  return %0 : tensor<1x2x8x7x!quant.uniform<i8:f32, 0.5>>
}

// -----

func.func @f(%x: tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>> {
  %w = "top.Weight"() : () -> tensor<2x3x3x3xi8>
  %b = "top.Weight"() : () -> tensor<2xi32>
  // expected-error@+1 {{'tpu.Conv2D' op filter [2, 3, 3, 3] does not fit 3 input channels in 2 groups}}
  %0 = "tpu.Conv2D"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1], multiplier = [1, 2], rshift = [1, 2], group = 2 : i64} : (tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>, tensor<2x3x3x3xi8>, tensor<2xi32>) -> tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>>
  return %0 : tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>>
}

// -----

func.func @f(%x: tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>> {
  %w = "top.Weight"() : () -> tensor<2x3x3x3xi8>
  %b = "top.Weight"() : () -> tensor<2xi32>
  // expected-error@+1 {{'tpu.Conv2D' op attribute 'round_mode' failed to satisfy constraint: How a fraction becomes an integer}}
  %0 = "tpu.Conv2D"(%x, %w, %b) {kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 1], multiplier = [1, 2], rshift = [1, 2], round_mode = "HalfUp"} : (tensor<1x3x8x8x!quant.uniform<i8:f32, 0.5>>, tensor<2x3x3x3xi8>, tensor<2xi32>) -> tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>>
  return %0 : tensor<1x2x8x8x!quant.uniform<i8:f32, 0.5>>
}

// -----

func.func @f(%x: tensor<1x4xf32>, %y: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.Add' op multipliers has 1 entries, expected 2 (inputs)}}
  %0 = "tpu.Add"(%x, %y) {multipliers = [1]} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>, %y: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.Add' op rshifts has 3 entries, expected 2 (inputs) or 1 (the sum)}}
  %0 = "tpu.Add"(%x, %y) {multipliers = [1, 1], rshifts = [1, 1, 1]} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>, %y: tensor<1x4xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.Add' op coeff has 1 entries, expected 2 (inputs)}}
  %0 = "tpu.Add"(%x, %y) {coeff = [1.0]} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>, %y: tensor<1x3xf32>) -> tensor<1x4xf32> {
  // expected-error@+1 {{'tpu.Add' op shapes [1, 4] and [1, 3] do not broadcast}}
  %0 = "tpu.Add"(%x, %y) {} : (tensor<1x4xf32>, tensor<1x3xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x3x3xf32> {
  // expected-error@+1 {{'tpu.Pool2D' op requires attribute 'pool_mode'}}
  %0 = "tpu.Pool2D"(%x) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 0]} : (tensor<1x4x8x8xf32>) -> tensor<1x4x3x3xf32>
  return %0 : tensor<1x4x3x3xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'tpu.Pool2D' op result shape is [1, 4, 8, 8], expected [1, 4, 3, 3]}}
  %0 = "tpu.Pool2D"(%x) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 0], pool_mode = #tpu<pool_mode Max>} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error@+1 {{'tpu.Pool2D' op attribute 'pool_mode' failed to satisfy constraint: What a window is reduced to}}
  %0 = "tpu.Pool2D"(%x) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 0], pool_mode = #tpu<round_mode HalfUp>} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x9xf16> {
  // expected-error@+1 {{'tpu.Cast' op result shape is [1, 4, 8, 9], expected [1, 4, 8, 8]}}
  %0 = "tpu.Cast"(%x) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x9xf16>
  return %0 : tensor<1x4x8x9xf16>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x9xf32> {
  // expected-error@+1 {{'tpu.Relu' op result shape is [1, 4, 8, 9], expected [1, 4, 8, 8]}}
  %0 = "tpu.Relu"(%x) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x9xf32>
  return %0 : tensor<1x4x8x9xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %none = "top.None"() : () -> none
  // expected-error@+1 {{'tpu.Pad' op paddings has 1 entries, expected 8 (twice the rank of [1, 4, 8, 8])}}
  %0 = "tpu.Pad"(%x, %none, %none, %none, %none) {paddings = [1]} : (tensor<1x4x8x8xf32>, none, none, none, none) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<255xf32> {
  // expected-error@+1 {{'tpu.Reshape' op [1, 4, 8, 8] (256 elements) cannot become [255] (255 elements)}}
  %0 = "tpu.Reshape"(%x) {shape = []} : (tensor<1x4x8x8xf32>) -> tensor<255xf32>
  return %0 : tensor<255xf32>
}

// -----

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %none = "top.None"() : () -> none
  // expected-error@+1 {{'tpu.Softmax' op axis is 2, expected -2 to 1 (rank 2)}}
  %0 = "tpu.Softmax"(%x, %none, %none, %none, %none, %none) {axis = 2 : si32} : (tensor<1x4xf32>, none, none, none, none, none) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x16xf32>) -> tensor<1x4xf32> {
  %none = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<15x4xf32>
  // expected-error@+1 {{'tpu.MatMul' op left [1, 16] has 16 columns, right [15, 4] has 15 rows}}
  %0 = "tpu.MatMul"(%x, %w, %none, %none, %none) : (tensor<1x16xf32>, tensor<15x4xf32>, none, none, none) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x16xf32>) -> tensor<1x4xf32> {
  %none = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<16x4xf32>
  %b = "top.Weight"() : () -> tensor<3xf32>
  // expected-error@+1 {{'tpu.MatMul' op bias has 3 elements, expected 4 (columns)}}
  %0 = "tpu.MatMul"(%x, %w, %b, %none, %none) : (tensor<1x16xf32>, tensor<16x4xf32>, tensor<3xf32>, none, none) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<1x3x8xf32>, %y: tensor<1x4x8xf32>) -> tensor<1x7x8xf32> {
  // expected-error@+1 {{'tpu.Concat' op multipliers has 1 entries, expected 2 (inputs)}}
  %0 = "tpu.Concat"(%x, %y) {axis = 1 : si32, multipliers = [1]} : (tensor<1x3x8xf32>, tensor<1x4x8xf32>) -> tensor<1x7x8xf32>
  return %0 : tensor<1x7x8xf32>
}

// -----

func.func @f(%x: tensor<1x3x8xf32>) -> tensor<1x3x4xf32> {
  %none = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<8x2xf32>
  %o = "top.Weight"() : () -> tensor<2x4xf32>
  // expected-error@+1 {{'tpu.Attention' op keys_weight has 8 elements, expected 8 x 2}}
  %0 = "tpu.Attention"(%x, %none, %none, %w, %none, %o, %none, %w, %none, %o, %none, %none, %none) {dim = 2 : i64, head = 1 : i64, scale = 0.5 : f64} : (tensor<1x3x8xf32>, none, none, tensor<8x2xf32>, none, tensor<2x4xf32>, none, tensor<8x2xf32>, none, tensor<2x4xf32>, none, none, none) -> tensor<1x3x4xf32>
  return %0 : tensor<1x3x4xf32>
}
