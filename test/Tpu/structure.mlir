// Structural ops: printed as they are read.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @permute
// CHECK: "tpu.Permute"({{.*}}) {order = [2, 0, 1]} : (tensor<1x2x3x!quant.uniform<i8:f32, 5.000000e-01>>, none) -> tensor<3x1x2x!quant.uniform<i8:f32, 5.000000e-01>>
func.func @permute(%x: tensor<1x2x3x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<3x1x2x!quant.uniform<i8:f32, 5.000000e-01>> {
  %none = "top.None"() : () -> none
  %0 = "tpu.Permute"(%x, %none) {order = [2, 0, 1]} : (tensor<1x2x3x!quant.uniform<i8:f32, 5.000000e-01>>, none) -> tensor<3x1x2x!quant.uniform<i8:f32, 5.000000e-01>>
  return %0 : tensor<3x1x2x!quant.uniform<i8:f32, 5.000000e-01>>
}

// CHECK-LABEL: func.func @slice
// CHECK: "tpu.Slice"({{.*}}) {axes = [], ends = [1, 4, 7], hasparamConvert_axes = [2], offset = [0, 0, 1], steps = [1, 1, 2]} : (tensor<1x4x8x!quant.uniform<i8:f32, 5.000000e-01>>, none, none, none, none) -> tensor<1x4x3x!quant.uniform<i8:f32, 5.000000e-01>>
func.func @slice(%x: tensor<1x4x8x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x3x!quant.uniform<i8:f32, 5.000000e-01>> {
  %none = "top.None"() : () -> none
  %0 = "tpu.Slice"(%x, %none, %none, %none, %none) {axes = [], ends = [1, 4, 7], hasparamConvert_axes = [2], offset = [0, 0, 1], steps = [1, 1, 2]} : (tensor<1x4x8x!quant.uniform<i8:f32, 5.000000e-01>>, none, none, none, none) -> tensor<1x4x3x!quant.uniform<i8:f32, 5.000000e-01>>
  return %0 : tensor<1x4x3x!quant.uniform<i8:f32, 5.000000e-01>>
}

// CHECK-LABEL: func.func @squeeze
// CHECK: "tpu.Squeeze"({{.*}}) {axes = [0]} : (tensor<1x4x1x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<4x1x!quant.uniform<i8:f32, 5.000000e-01>>
func.func @squeeze(%x: tensor<1x4x1x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<4x1x!quant.uniform<i8:f32, 5.000000e-01>> {
  %0 = "tpu.Squeeze"(%x) {axes = [0]} : (tensor<1x4x1x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<4x1x!quant.uniform<i8:f32, 5.000000e-01>>
  return %0 : tensor<4x1x!quant.uniform<i8:f32, 5.000000e-01>>
}

// CHECK-LABEL: func.func @unsqueeze
// CHECK: "tpu.Unsqueeze"({{.*}}) {axes = [0]} : (tensor<4x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>
func.func @unsqueeze(%x: tensor<4x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>> {
  %0 = "tpu.Unsqueeze"(%x) {axes = [0]} : (tensor<4x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>
  return %0 : tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>
}

// CHECK-LABEL: func.func @tile
// CHECK: "tpu.Tile"({{.*}}) {tile = [1, 2]} : (tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>, none) -> tensor<1x8x!quant.uniform<i8:f32, 5.000000e-01>>
func.func @tile(%x: tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x8x!quant.uniform<i8:f32, 5.000000e-01>> {
  %none = "top.None"() : () -> none
  %0 = "tpu.Tile"(%x, %none) {tile = [1, 2]} : (tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>, none) -> tensor<1x8x!quant.uniform<i8:f32, 5.000000e-01>>
  return %0 : tensor<1x8x!quant.uniform<i8:f32, 5.000000e-01>>
}

// CHECK-LABEL: func.func @depth2space
// CHECK: "tpu.Depth2Space"({{.*}}) {block_h = 2 : i64, block_w = 2 : i64, in_is_NCHW = true, is_CRD = true, is_inversed = false, out_is_NCHW = true, swap_cr = false} : (tensor<1x4x2x2x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x1x4x4x!quant.uniform<i8:f32, 5.000000e-01>>
func.func @depth2space(%x: tensor<1x4x2x2x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x1x4x4x!quant.uniform<i8:f32, 5.000000e-01>> {
  %0 = "tpu.Depth2Space"(%x) {block_h = 2 : i64, block_w = 2 : i64, in_is_NCHW = true, is_CRD = true, is_inversed = false, out_is_NCHW = true, swap_cr = false} : (tensor<1x4x2x2x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x1x4x4x!quant.uniform<i8:f32, 5.000000e-01>>
  return %0 : tensor<1x1x4x4x!quant.uniform<i8:f32, 5.000000e-01>>
}

// CHECK-LABEL: func.func @reverse
// CHECK: "tpu.Reverse"({{.*}}) {axis = 1 : i64} : (tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>
func.func @reverse(%x: tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>> {
  %0 = "tpu.Reverse"(%x) {axis = 1 : i64} : (tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>
  return %0 : tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>
}

// CHECK-LABEL: func.func @pool1d
// CHECK: "tpu.Pool1D"({{.*}}) {count_include_pad = false, do_relu = false, first_round_mode = #tpu<round_mode HalfAwayFromZero>, is_adaptive = false, keepdims = true, kernel_shape = [2], pad_value = 0 : i64, pads = [0, 0], pool_mode = #tpu<pool_mode Max>, relu_limit = -1.000000e+00 : f64, round_mode = #tpu<round_mode HalfAwayFromZero>, strides = [2]} : (tensor<1x4x8x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x4x!quant.uniform<i8:f32, 5.000000e-01>>
func.func @pool1d(%x: tensor<1x4x8x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x4x!quant.uniform<i8:f32, 5.000000e-01>> {
  %0 = "tpu.Pool1D"(%x) {count_include_pad = false, do_relu = false, first_round_mode = #tpu<round_mode HalfAwayFromZero>, is_adaptive = false, keepdims = true, kernel_shape = [2], pad_value = 0 : i64, pads = [0, 0], pool_mode = #tpu<pool_mode Max>, relu_limit = -1.000000e+00 : f64, round_mode = #tpu<round_mode HalfAwayFromZero>, strides = [2]} : (tensor<1x4x8x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x4x!quant.uniform<i8:f32, 5.000000e-01>>
  return %0 : tensor<1x4x4x!quant.uniform<i8:f32, 5.000000e-01>>
}

// CHECK-LABEL: func.func @upsample
// CHECK: "tpu.Upsample"({{.*}}) {do_relu = false, relu_limit = -1.000000e+00 : f64, scale_h = 2 : i64, scale_w = 2 : i64} : (tensor<1x4x2x2x!quant.uniform<i8:f32, 5.000000e-01>>, none) -> tensor<1x4x4x4x!quant.uniform<i8:f32, 5.000000e-01>>
func.func @upsample(%x: tensor<1x4x2x2x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4x4x4x!quant.uniform<i8:f32, 5.000000e-01>> {
  %none = "top.None"() : () -> none
  %0 = "tpu.Upsample"(%x, %none) {do_relu = false, relu_limit = -1.000000e+00 : f64, scale_h = 2 : i64, scale_w = 2 : i64} : (tensor<1x4x2x2x!quant.uniform<i8:f32, 5.000000e-01>>, none) -> tensor<1x4x4x4x!quant.uniform<i8:f32, 5.000000e-01>>
  return %0 : tensor<1x4x4x4x!quant.uniform<i8:f32, 5.000000e-01>>
}

// CHECK-LABEL: func.func @interp
// CHECK: "tpu.Interp"({{.*}}) {coord_mode = #tpu<coord_mode half_pixel>, mode = #tpu<mode linear>, ppl_flag = false, scale_h = 1.500000e+00 : f64, scale_w = 1.500000e+00 : f64} : (tensor<1x4x2x2xf16>, none, none) -> tensor<1x4x3x3xf16>
func.func @interp(%x: tensor<1x4x2x2xf16>) -> tensor<1x4x3x3xf16> {
  %none = "top.None"() : () -> none
  %0 = "tpu.Interp"(%x, %none, %none) {coord_mode = #tpu<coord_mode half_pixel>, mode = #tpu<mode linear>, ppl_flag = false, scale_h = 1.500000e+00 : f64, scale_w = 1.500000e+00 : f64} : (tensor<1x4x2x2xf16>, none, none) -> tensor<1x4x3x3xf16>
  return %0 : tensor<1x4x3x3xf16>
}

// CHECK-LABEL: func.func @reduce
// CHECK: "tpu.Reduce"({{.*}}) {axes = [2], keepdims = false, mode = "ReduceMean"} : (tensor<1x4x2xf16>, none, none) -> tensor<1x4xf16>
func.func @reduce(%x: tensor<1x4x2xf16>) -> tensor<1x4xf16> {
  %none = "top.None"() : () -> none
  %0 = "tpu.Reduce"(%x, %none, %none) {axes = [2], keepdims = false, mode = "ReduceMean"} : (tensor<1x4x2xf16>, none, none) -> tensor<1x4xf16>
  return %0 : tensor<1x4xf16>
}

// CHECK-LABEL: func.func @layernorm
// CHECK: "tpu.LayerNorm"({{.*}}) {axis = 2 : si32, eps = 1.000000e-05 : f64, normalized_shape = [2]} : (tensor<1x4x2xf16>, none, none, none, none) -> tensor<1x4x2xf16>
func.func @layernorm(%x: tensor<1x4x2xf16>) -> tensor<1x4x2xf16> {
  %none = "top.None"() : () -> none
  %0 = "tpu.LayerNorm"(%x, %none, %none, %none, %none) {axis = 2 : si32, eps = 1.000000e-05 : f64, normalized_shape = [2]} : (tensor<1x4x2xf16>, none, none, none, none) -> tensor<1x4x2xf16>
  return %0 : tensor<1x4x2xf16>
}

// CHECK-LABEL: func.func @instancenorm
// CHECK: "tpu.InstanceNorm"({{.*}}) {eps = 1.000000e-05 : f64} : (tensor<1x4x2xf32>, none, none, none, none) -> tensor<1x4x2xf32>
func.func @instancenorm(%x: tensor<1x4x2xf32>) -> tensor<1x4x2xf32> {
  %none = "top.None"() : () -> none
  %0 = "tpu.InstanceNorm"(%x, %none, %none, %none, %none) {eps = 1.000000e-05 : f64} : (tensor<1x4x2xf32>, none, none, none, none) -> tensor<1x4x2xf32>
  return %0 : tensor<1x4x2xf32>
}

// CHECK-LABEL: func.func @groupnorm
// CHECK: "tpu.GroupNorm"({{.*}}) {eps = 1.000000e-05 : f64, num_groups = 2 : i64} : (tensor<1x4x2xf32>, none, none, none, none) -> tensor<1x4x2xf32>
func.func @groupnorm(%x: tensor<1x4x2xf32>) -> tensor<1x4x2xf32> {
  %none = "top.None"() : () -> none
  %0 = "tpu.GroupNorm"(%x, %none, %none, %none, %none) {eps = 1.000000e-05 : f64, num_groups = 2 : i64} : (tensor<1x4x2xf32>, none, none, none, none) -> tensor<1x4x2xf32>
  return %0 : tensor<1x4x2xf32>
}
