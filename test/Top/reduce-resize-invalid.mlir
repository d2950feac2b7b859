// What the verifiers of reductions, normalizations, resizing, choices and transposed convolution say.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @reduce_mode(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Reduce' op unknown mode 'ReduceMiddle', expected one of ReduceMean, ReduceSum, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2}}
  %0 = "top.Reduce"(%x) {axes = [1], keepdims = true, mode = "ReduceMiddle"} : (tensor<1x4xf32>) -> tensor<1x1xf32>
  return
}

// -----

func.func @reduce_axes(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Reduce' op axis is 2, expected -2 to 1 (rank 2)}}
  %0 = "top.Reduce"(%x) {axes = [2], keepdims = true, mode = "ReduceMax"} : (tensor<1x4xf32>) -> tensor<1x1xf32>
  return
}

// -----

func.func @arg_mode(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Arg' op unknown mode 'ArgMean', expected ArgMax or ArgMin}}
  %0, %1 = "top.Arg"(%x) {axis = 1 : i64, keepdims = true, mode = "ArgMean"} : (tensor<1x4xf32>) -> (tensor<1x1xf32>, none)
  return
}

// -----

func.func @layer_norm_shape(%x: tensor<1x4xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.LayerNorm' op normalized_shape is [3], expected [4]}}
  %0 = "top.LayerNorm"(%x, %n, %n) {axis = 1 : si32, eps = 0.1 : f64, normalized_shape = [3]} : (tensor<1x4xf32>, none, none) -> tensor<1x4xf32>
  return
}

// -----

func.func @layer_norm_weight(%x: tensor<1x4xf32>, %w: tensor<3xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.LayerNorm' op weight has 3 elements, expected 4 (normalized elements)}}
  %0 = "top.LayerNorm"(%x, %w, %n) {axis = 1 : si32, eps = 0.1 : f64, normalized_shape = [4]} : (tensor<1x4xf32>, tensor<3xf32>, none) -> tensor<1x4xf32>
  return
}

// -----

func.func @layer_norm_eps(%x: tensor<1x4xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.LayerNorm' op eps is -1, expected a number from 0 on}}
  %0 = "top.LayerNorm"(%x, %n, %n) {axis = 1 : si32, eps = -1.0 : f64, normalized_shape = []} : (tensor<1x4xf32>, none, none) -> tensor<1x4xf32>
  return
}

// -----

func.func @group_norm(%x: tensor<1x4x2xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.GroupNorm' op 4 channels are not divisible into 3 groups}}
  %0 = "top.GroupNorm"(%x, %n, %n) {num_groups = 3 : i64, eps = 0.1 : f64} : (tensor<1x4x2xf32>, none, none) -> tensor<1x4x2xf32>
  return
}

// -----

func.func @instance_norm(%x: tensor<1x4x2xf32>, %w: tensor<2xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.InstanceNorm' op bias has 2 elements, expected 4 (channels)}}
  %0 = "top.InstanceNorm"(%x, %n, %w) {eps = 0.1 : f64} : (tensor<1x4x2xf32>, none, tensor<2xf32>) -> tensor<1x4x2xf32>
  return
}

// -----

func.func @upsample(%x: tensor<1x4x2x2xf32>) {
  // expected-error@+1 {{'top.Upsample' op scale is 2x0, expected positive factors}}
  %0 = "top.Upsample"(%x) {scale_h = 2 : i64, scale_w = 0 : i64} : (tensor<1x4x2x2xf32>) -> tensor<1x4x4x2xf32>
  return
}

// -----

func.func @upsample_rank(%x: tensor<4x2x2xf32>) {
  // expected-error@+1 {{'top.Upsample' op expected an input of four dimensions, found [4, 2, 2]}}
  %0 = "top.Upsample"(%x) {scale_h = 2 : i64, scale_w = 2 : i64} : (tensor<4x2x2xf32>) -> tensor<4x4x4xf32>
  return
}

// -----

func.func @interp_mode(%x: tensor<1x4x2x2xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Interp' op unknown mode 'cubic', expected nearest or linear}}
  %0 = "top.Interp"(%x, %n) {mode = "cubic", coord_mode = "half_pixel", scale_h = 2.0 : f64, scale_w = 2.0 : f64} : (tensor<1x4x2x2xf32>, none) -> tensor<1x4x4x4xf32>
  return
}

// -----

func.func @interp_coord(%x: tensor<1x4x2x2xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Interp' op unknown coord_mode 'tf', expected one of half_pixel, pytorch_half_pixel, align_corners, asymmetric}}
  %0 = "top.Interp"(%x, %n) {mode = "linear", coord_mode = "tf", scale_h = 2.0 : f64, scale_w = 2.0 : f64} : (tensor<1x4x2x2xf32>, none) -> tensor<1x4x4x4xf32>
  return
}

// -----

func.func @interp_scale(%x: tensor<1x4x2x2xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Interp' op scale 0.25 makes 2 elements 0}}
  %0 = "top.Interp"(%x, %n) {mode = "linear", coord_mode = "half_pixel", scale_h = 0.25 : f64, scale_w = 2.0 : f64} : (tensor<1x4x2x2xf32>, none) -> tensor<1x4x1x4xf32>
  return
}

// -----

func.func @interp_rank(%x: tensor<4x2xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Interp' op an input of three or four dimensions is resized, found [4, 2]}}
  %0 = "top.Interp"(%x, %n) {mode = "linear", coord_mode = "half_pixel", scale_h = 2.0 : f64, scale_w = 2.0 : f64} : (tensor<4x2xf32>, none) -> tensor<4x4xf32>
  return
}

// -----

func.func @deconv_filter(%x: tensor<1x4x2x2xf32>, %w: tensor<6x3x3x3xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Deconv' op filter [6, 3, 3, 3] does not fit 4 input channels in 1 groups}}
  %0 = "top.Deconv"(%x, %w, %n) {kernel_shape = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x4x2x2xf32>, tensor<6x3x3x3xf32>, none) -> tensor<1x6x4x4xf32>
  return
}

// -----

func.func @deconv_pads(%x: tensor<1x4x2x2xf32>, %w: tensor<6x4x3x3xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Deconv' op dimension 0 of the result has no elements: input 2, kernel 3, pads [9, 0, 0, 0]}}
  %0 = "top.Deconv"(%x, %w, %n) {kernel_shape = [3, 3], strides = [1, 1], pads = [9, 0, 0, 0]} : (tensor<1x4x2x2xf32>, tensor<6x4x3x3xf32>, none) -> tensor<1x6x4x4xf32>
  return
}

// -----

func.func @deconv_bias(%x: tensor<1x4x2x2xf32>, %w: tensor<6x4x3x3xf32>, %b: tensor<5xf32>) {
  // expected-error@+1 {{'top.Deconv' op bias has 5 elements, expected 6 (output channels)}}
  %0 = "top.Deconv"(%x, %w, %b) {kernel_shape = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x4x2x2xf32>, tensor<6x4x3x3xf32>, tensor<5xf32>) -> tensor<1x6x4x4xf32>
  return
}

// -----

func.func @deconv_output_padding(%x: tensor<1x4x2x2xf32>, %w: tensor<6x4x3x3xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Deconv' op output_padding is [-1, 0], expected 2 counts}}
  %0 = "top.Deconv"(%x, %w, %n) {kernel_shape = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0], output_padding = [-1, 0]} : (tensor<1x4x2x2xf32>, tensor<6x4x3x3xf32>, none) -> tensor<1x6x4x4xf32>
  return
}

// -----

func.func @compare(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.Compare' op unknown mode 'Near', expected one of Equal, NotEqual, Greater, GreaterOrEqual, Less, LessOrEqual, And, Xor, Not}}
  %0 = "top.Compare"(%x, %x) {mode = "Near"} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  return
}

// -----

func.func @compare_const(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{'top.CompareConst' op unknown mode 'Near', expected one of Equal, NotEqual, Greater, GreaterOrEqual, Less, LessOrEqual, And, Xor, Not}}
  %0 = "top.CompareConst"(%x) {mode = "Near", const_val = 0.0 : f64, inversed = false} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return
}

// -----

func.func @where(%x: tensor<1x4xf32>) {
  %n = "top.None"() : () -> none
  // expected-error@+1 {{'top.Where' op operand 2 must be a tensor}}
  %0 = "top.Where"(%x, %x, %n) : (tensor<1x4xf32>, tensor<1x4xf32>, none) -> tensor<1x4xf32>
  return
}
