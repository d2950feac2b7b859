// What the verifiers of the ops that preprocess frames refuse.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<1x2x3x3xui8>) -> tensor<1x2x3x3xi8> {
  %w = "top.Weight"() : () -> tensor<1x1x16x16xi8>
  // expected-error@+1 {{'tpu.ScaleLut' op table has 256 elements, expected 256 for each of 2 channels}}
  %0 = "tpu.ScaleLut"(%x, %w) {bias = [0.0, 1.0], scale = [1.0, 2.0]} : (tensor<1x2x3x3xui8>, tensor<1x1x16x16xi8>) -> tensor<1x2x3x3xi8>
  return %0 : tensor<1x2x3x3xi8>
}

// -----

func.func @f(%x: tensor<1x2x3x3xui8>) -> tensor<1x2x3x3xi8> {
  %w = "top.Weight"() : () -> tensor<1x2x16x16xi8>
  // expected-error@+1 {{'tpu.ScaleLut' op bias has 1 entries, expected 2 (channels)}}
  %0 = "tpu.ScaleLut"(%x, %w) {bias = [0.0], scale = [1.0, 2.0]} : (tensor<1x2x3x3xui8>, tensor<1x2x16x16xi8>) -> tensor<1x2x3x3xi8>
  return %0 : tensor<1x2x3x3xi8>
}

// -----

func.func @f(%x: tensor<1x3x2x2xf32>) -> tensor<1x3x2x2xf32> {
  // expected-error@+1 {{'tpu.SwapChannel' op channel_order [2, 1, 1] is no order of 3 channels}}
  %0 = "tpu.SwapChannel"(%x) {channel_order = [2, 1, 1]} : (tensor<1x3x2x2xf32>) -> tensor<1x3x2x2xf32>
  return %0 : tensor<1x3x2x2xf32>
}

// -----

func.func @f(%x: tensor<1x1x5x4xui8>) -> tensor<1x3x4x4xui8> {
  // expected-error@+1 {{'tpu.Yuv2rgbFormula' op frames of YUV 4:2:0 have shape [N, 1, H * 3 / 2, W] with even H and W, found [1, 1, 5, 4]}}
  %0 = "tpu.Yuv2rgbFormula"(%x) {src_format = 0 : ui32, dst_format = 4 : ui32, formula_mode = #tpu<yuv2rgb_formula_mode _601_limited>, image_format = #tpu<image_out_format UINT8>} : (tensor<1x1x5x4xui8>) -> tensor<1x3x4x4xui8>
  return %0 : tensor<1x3x4x4xui8>
}

// -----

func.func @f(%x: tensor<1x1x6x4xui8>) -> tensor<1x3x4x4xui8> {
  // expected-error@+1 {{'tpu.Yuv2rgbFormula' op src_format is 7 and dst_format 4, expected 0, 2 or 3 and 4 or 5}}
  %0 = "tpu.Yuv2rgbFormula"(%x) {src_format = 7 : ui32, dst_format = 4 : ui32, formula_mode = #tpu<yuv2rgb_formula_mode _601_limited>, image_format = #tpu<image_out_format UINT8>} : (tensor<1x1x6x4xui8>) -> tensor<1x3x4x4xui8>
  return %0 : tensor<1x3x4x4xui8>
}
