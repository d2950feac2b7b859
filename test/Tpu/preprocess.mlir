// What preprocesses frames: printed as it is read.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @table
// CHECK: "tpu.ScaleLut"({{.*}}) {bias = [0.000000e+00, 1.000000e+00], scale = [1.000000e+00, 2.000000e+00], sign = false}
func.func @table(%x: tensor<1x2x3x3x!quant.uniform<u8:f32, 1.0>>) -> tensor<1x2x3x3x!quant.uniform<u8:f32, 5.000000e-01>> {
  %w = "top.Weight"() : () -> tensor<1x2x16x16xui8>
  %0 = "tpu.ScaleLut"(%x, %w) {bias = [0.0, 1.0], scale = [1.0, 2.0], sign = false} : (tensor<1x2x3x3x!quant.uniform<u8:f32, 1.0>>, tensor<1x2x16x16xui8>) -> tensor<1x2x3x3x!quant.uniform<u8:f32, 5.000000e-01>>
  return %0 : tensor<1x2x3x3x!quant.uniform<u8:f32, 5.000000e-01>>
}

// CHECK-LABEL: func.func @swap
// CHECK: "tpu.SwapChannel"({{.*}}) {channel_order = [2, 0, 1]} : (tensor<1x3x2x2xf16>) -> tensor<1x3x2x2xf16>
func.func @swap(%x: tensor<1x3x2x2xf16>) -> tensor<1x3x2x2xf16> {
  %0 = "tpu.SwapChannel"(%x) {channel_order = [2, 0, 1]} : (tensor<1x3x2x2xf16>) -> tensor<1x3x2x2xf16>
  return %0 : tensor<1x3x2x2xf16>
}

// CHECK-LABEL: func.func @yuv
// CHECK: "tpu.Yuv2rgbFormula"({{.*}}) {dst_format = 5 : ui32, formula_mode = #tpu<yuv2rgb_formula_mode _601_limited>, image_format = #tpu<image_out_format UINT8>, round_mode = #tpu<round_mode HalfAwayFromZero>, src_format = 0 : ui32}
func.func @yuv(%x: tensor<2x1x6x4x!quant.uniform<u8:f32, 1.0>>) -> tensor<2x3x4x4x!quant.uniform<u8:f32, 1.0>> {
  %0 = "tpu.Yuv2rgbFormula"(%x) {src_format = 0 : ui32, dst_format = 5 : ui32, formula_mode = #tpu<yuv2rgb_formula_mode _601_limited>, image_format = #tpu<image_out_format UINT8>} : (tensor<2x1x6x4x!quant.uniform<u8:f32, 1.0>>) -> tensor<2x3x4x4x!quant.uniform<u8:f32, 1.0>>
  return %0 : tensor<2x3x4x4x!quant.uniform<u8:f32, 1.0>>
}
