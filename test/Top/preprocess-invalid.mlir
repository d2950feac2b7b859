// What the verifier of a Preprocess refuses.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<1x3x6x8xui8>) -> tensor<1x3x4x4xf32> {
  // expected-error@+1 {{'top.Preprocess' op unknown format 'RGB_PLANE'; did you mean 'RGB_PLANAR'?; expected one of}}
  %0 = "top.Preprocess"(%x) {channel_order = "rgb", customization_format = "RGB_PLANE", mean = [0.0, 0.0, 0.0], scale = [1.0, 1.0, 1.0], quant_mode = "F32", resize_dims = [6, 8]} : (tensor<1x3x6x8xui8>) -> tensor<1x3x4x4xf32>
  return %0 : tensor<1x3x4x4xf32>
}

// -----

func.func @f(%x: tensor<1x3x6x8xui8>) -> tensor<1x3x4x4xf32> {
  // expected-error@+1 {{'top.Preprocess' op frames of RGB_PACKED have shape [1, 3, 6, 8], expected [1, 6, 8, 3]}}
  %0 = "top.Preprocess"(%x) {channel_order = "rgb", customization_format = "RGB_PACKED", mean = [0.0, 0.0, 0.0], scale = [1.0, 1.0, 1.0], quant_mode = "F32", resize_dims = [6, 8]} : (tensor<1x3x6x8xui8>) -> tensor<1x3x4x4xf32>
  return %0 : tensor<1x3x4x4xf32>
}

// -----

func.func @f(%x: tensor<1x3x6x8xui8>) -> tensor<1x3x4x9xf32> {
  // expected-error@+1 {{'top.Preprocess' op cannot crop 4 x 9 from frames of 6 x 8}}
  %0 = "top.Preprocess"(%x) {channel_order = "rgb", customization_format = "RGB_PLANAR", mean = [0.0, 0.0, 0.0], scale = [1.0, 1.0, 1.0], quant_mode = "F32", resize_dims = [6, 8]} : (tensor<1x3x6x8xui8>) -> tensor<1x3x4x9xf32>
  return %0 : tensor<1x3x4x9xf32>
}

// -----

func.func @f(%x: tensor<1x3x6x8xui8>) -> tensor<1x3x4x4xf32> {
  // expected-error@+1 {{'top.Preprocess' op mean has 1 entries, expected 3 (channels)}}
  %0 = "top.Preprocess"(%x) {channel_order = "rgb", customization_format = "RGB_PLANAR", mean = [0.0], scale = [1.0, 1.0, 1.0], quant_mode = "F32", resize_dims = [6, 8]} : (tensor<1x3x6x8xui8>) -> tensor<1x3x4x4xf32>
  return %0 : tensor<1x3x4x4xf32>
}
