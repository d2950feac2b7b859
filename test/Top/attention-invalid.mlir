// What the verifier of attentions says.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @heads(%x: tensor<2x3x8xf32>, %y: tensor<2x5x4xf32>) {
  %n = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<8x6xf32>
  %wy = "top.Weight"() : () -> tensor<4x6xf32>
  %o = "top.Weight"() : () -> tensor<6x8xf32>
  // expected-error@+1 {{'top.Attention' op 6 columns of queries_weight are not divisible into 4 heads}}
  %0 = "top.Attention"(%x, %y, %y, %w, %n, %wy, %n, %wy, %n, %o, %n, %n) {head = 4 : i64, scale = 0.5 : f64} : (tensor<2x3x8xf32>, tensor<2x5x4xf32>, tensor<2x5x4xf32>, tensor<8x6xf32>, none, tensor<4x6xf32>, none, tensor<4x6xf32>, none, tensor<6x8xf32>, none, none) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @scales(%x: tensor<2x3x8xf32>, %y: tensor<2x5x4xf32>) {
  %n = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<8x6xf32>
  %wy = "top.Weight"() : () -> tensor<4x6xf32>
  %o = "top.Weight"() : () -> tensor<6x8xf32>
  // expected-error@+1 {{'top.Attention' op scale_param has 2 entries, expected 7 (queries, keys, values, product, scaled product, probabilities, result) or 1}}
  %0 = "top.Attention"(%x, %y, %y, %w, %n, %wy, %n, %wy, %n, %o, %n, %n) {head = 2 : i64, scale = 0.5 : f64, scale_param = [1.0, 2.0]} : (tensor<2x3x8xf32>, tensor<2x5x4xf32>, tensor<2x5x4xf32>, tensor<8x6xf32>, none, tensor<4x6xf32>, none, tensor<4x6xf32>, none, tensor<6x8xf32>, none, none) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @images(%x: tensor<2x3x8xf32>, %y: tensor<3x5x4xf32>) {
  %n = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<8x6xf32>
  %wy = "top.Weight"() : () -> tensor<4x6xf32>
  %o = "top.Weight"() : () -> tensor<6x8xf32>
  // expected-error@+1 {{'top.Attention' op keys have shape [3, 5, 4], expected three dimensions and the batch of [2, 3, 8]}}
  %0 = "top.Attention"(%x, %y, %y, %w, %n, %wy, %n, %wy, %n, %o, %n, %n) {head = 2 : i64, scale = 0.5 : f64} : (tensor<2x3x8xf32>, tensor<3x5x4xf32>, tensor<3x5x4xf32>, tensor<8x6xf32>, none, tensor<4x6xf32>, none, tensor<4x6xf32>, none, tensor<6x8xf32>, none, none) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @projection(%x: tensor<2x3x8xf32>, %y: tensor<2x5x4xf32>) {
  %n = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<8x6xf32>
  %wy = "top.Weight"() : () -> tensor<3x6xf32>
  %o = "top.Weight"() : () -> tensor<6x8xf32>
  // expected-error@+1 {{'top.Attention' op keys_weight has 18 elements, expected 4 x 6}}
  %0 = "top.Attention"(%x, %y, %y, %w, %n, %wy, %n, %wy, %n, %o, %n, %n) {head = 2 : i64, scale = 0.5 : f64} : (tensor<2x3x8xf32>, tensor<2x5x4xf32>, tensor<2x5x4xf32>, tensor<8x6xf32>, none, tensor<3x6xf32>, none, tensor<3x6xf32>, none, tensor<6x8xf32>, none, none) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @bias(%x: tensor<2x3x8xf32>, %y: tensor<2x5x4xf32>) {
  %n = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<8x6xf32>
  %wy = "top.Weight"() : () -> tensor<4x6xf32>
  %o = "top.Weight"() : () -> tensor<6x8xf32>
  %b = "top.Weight"() : () -> tensor<5xf32>
  // expected-error@+1 {{'top.Attention' op queries_bias has 5 elements, expected 6}}
  %0 = "top.Attention"(%x, %y, %y, %w, %b, %wy, %n, %wy, %n, %o, %n, %n) {head = 2 : i64, scale = 0.5 : f64} : (tensor<2x3x8xf32>, tensor<2x5x4xf32>, tensor<2x5x4xf32>, tensor<8x6xf32>, tensor<5xf32>, tensor<4x6xf32>, none, tensor<4x6xf32>, none, tensor<6x8xf32>, none, none) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @out(%x: tensor<2x3x8xf32>, %y: tensor<2x5x4xf32>) {
  %n = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<8x6xf32>
  %wy = "top.Weight"() : () -> tensor<4x6xf32>
  %o = "top.Weight"() : () -> tensor<5x8xf32>
  // expected-error@+1 {{'top.Attention' op out_weight has 40 elements, expected 6 x 8}}
  %0 = "top.Attention"(%x, %y, %y, %w, %n, %wy, %n, %wy, %n, %o, %n, %n) {head = 2 : i64, scale = 0.5 : f64} : (tensor<2x3x8xf32>, tensor<2x5x4xf32>, tensor<2x5x4xf32>, tensor<8x6xf32>, none, tensor<4x6xf32>, none, tensor<4x6xf32>, none, tensor<5x8xf32>, none, none) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @mask(%x: tensor<2x3x8xf32>, %y: tensor<2x5x4xf32>, %m: tensor<1x1x1x5xf32>) {
  %n = "top.None"() : () -> none
  %w = "top.Weight"() : () -> tensor<8x6xf32>
  %wy = "top.Weight"() : () -> tensor<4x6xf32>
  %o = "top.Weight"() : () -> tensor<6x8xf32>
  // expected-error@+1 {{'top.Attention' op mask has 5 elements, expected 2 x 5 (one a key)}}
  %0 = "top.Attention"(%x, %y, %y, %w, %n, %wy, %n, %wy, %n, %o, %n, %m) {head = 2 : i64, scale = 0.5 : f64} : (tensor<2x3x8xf32>, tensor<2x5x4xf32>, tensor<2x5x4xf32>, tensor<8x6xf32>, none, tensor<4x6xf32>, none, tensor<4x6xf32>, none, tensor<6x8xf32>, none, tensor<1x1x1x5xf32>) -> tensor<2x3x8xf32>
  return
}
