// Frames become the network's input: printed as it is read.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK: "top.Preprocess"({{.*}}) {channel_order = "bgr", customization_format = "YUV_NV12", mean = [0.000000e+00, 0.000000e+00, 0.000000e+00], quant_mode = "INT8", resize_dims = [6, 8], scale = [1.000000e+00, 1.000000e+00, 1.000000e+00], sign = true}
func.func @f(%x: tensor<1x1x9x8xui8>) -> tensor<1x3x4x4xf32> {
  %0 = "top.Preprocess"(%x) {channel_order = "bgr", customization_format = "YUV_NV12", mean = [0.0, 0.0, 0.0], scale = [1.0, 1.0, 1.0], quant_mode = "INT8", resize_dims = [6, 8]} : (tensor<1x1x9x8xui8>) -> tensor<1x3x4x4xf32>
  return %0 : tensor<1x3x4x4xf32>
}
