// An input with and without the preprocessing of pictures.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @plain
// CHECK: "top.Input"(%{{.*}}) {do_preprocess = false} : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32>
func.func @plain(%x: tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32> {
  %0 = "top.Input"(%x) : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32>
  return %0 : tensor<1x3x8x8xf32>
}

// CHECK-LABEL: func.func @pictures
// CHECK: "top.Input"(%{{.*}}) {channel_format = "nchw", do_preprocess = true, keep_aspect_ratio = true, keep_ratio_mode = "letterbox", mean = [1.270000e+02, 1.270000e+02, 1.270000e+02], pad_type = "center", pad_value = 0 : i64, pixel_format = "rgb", resize_dims = [10, 10], scale = [7.812500e-03, 7.812500e-03, 7.812500e-03]} : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32>
func.func @pictures(%x: tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32> {
  %0 = "top.Input"(%x) {do_preprocess = true, pixel_format = "rgb", channel_format = "nchw", resize_dims = [10, 10], keep_aspect_ratio = true, keep_ratio_mode = "letterbox", pad_value = 0 : i64, pad_type = "center", mean = [127.0, 127.0, 127.0], scale = [7.812500e-03, 7.812500e-03, 7.812500e-03]} : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32>
  return %0 : tensor<1x3x8x8xf32>
}
