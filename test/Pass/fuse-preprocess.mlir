// The preprocessing of pictures inside the network, in Top and lowered; what does not fit is refused.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w:1x3x1x1=1,2,-4 && printf 'in 63.5 -60 63.5\ny 100 -100 100\n' > table
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1684x mode=F32' --fuse-preprocess=customization_format=bgr_packed -o top.mlir && FileCheck %s --check-prefix=TOP --input-file top.mlir
// RUN: %tpuc-opt top.mlir -o /dev/null
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1684x mode=F16' --fuse-preprocess --convert-top-to-tpu=weightFileName=f.npz | FileCheck %s --check-prefix=F16
// RUN: %tpuc-opt %s --import-calibration-table=file=table '--processor-assign=chip=bm1684x mode=INT8' '--fuse-preprocess=mode=INT8 customization_format=BGR_PACKED' --convert-top-to-tpu=weightFileName=tpu.npz | FileCheck %s --check-prefix=INT8
// RUN: %npz show tpu.npz | FileCheck %s --check-prefix=WEIGHTS
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1684x mode=F32' --fuse-preprocess=customization_format=YUV_NV21 --convert-top-to-tpu=weightFileName=y.npz | FileCheck %s --check-prefix=YUV
// RUN: not %tpuc-opt %s --fuse-preprocess 2>&1 | FileCheck %s --check-prefix=ASSIGN
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684x mode=F32' --fuse-preprocess=customization_format=RGB_PLANR 2>&1 | FileCheck %s --check-prefix=FORMAT
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684x mode=F32' --fuse-preprocess=mode=F31 2>&1 | FileCheck %s --check-prefix=MODE
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684x mode=F32' --fuse-preprocess=align=true 2>&1 | FileCheck %s --check-prefix=ALIGN
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684x mode=F32' --fuse-preprocess=customization_format=GRAYSCALE 2>&1 | FileCheck %s --check-prefix=CHANNELS
// RUN: sed 's/pixel_format = "rgb", //' %s > plain.mlir && not %tpuc-opt plain.mlir '--processor-assign=chip=bm1684x mode=F32' --fuse-preprocess 2>&1 | FileCheck %s --check-prefix=PLAIN

// TOP: func.func @main(%{{.*}}: tensor<1x6x8x3xui8>{{.*}}) -> tensor<1x1x4x4xf32>
// TOP: "top.Input"{{.*}}channel_format = "nhwc", customization_format = "BGR_PACKED"{{.*}}mean = [0.000000e+00, 0.000000e+00, 0.000000e+00]{{.*}}pixel_format = "bgr", resize_dims = [6, 8], scale = [1.000000e+00, 1.000000e+00, 1.000000e+00]{{.*}} : (tensor<1x6x8x3xui8>) -> tensor<1x6x8x3x!quant.uniform<u8:f32, 1.000000e+00>>
// TOP: "top.Preprocess"{{.*}} {channel_order = "rgb", customization_format = "BGR_PACKED", mean = [1.000000e+02, 5.000000e+01, 2.000000e+01], quant_mode = "F32", resize_dims = [6, 8], scale = [5.000000e-01, 2.500000e-01, 1.250000e-01], sign = true} : (tensor<1x6x8x3x!quant.uniform<u8:f32, 1.000000e+00>>) -> tensor<1x3x4x4xf32>
// TOP: loc("in_raw")
// TOP: loc("in_preprocess")

// F16: "tpu.Slice"{{.*}}ends = [1, 3, 5, 6]{{.*}}offset = [0, 0, 1, 2]{{.*}} -> tensor<1x3x4x4x!quant.uniform<u8:f32, 1.000000e+00>>
// F16: "tpu.Cast"{{.*}} -> tensor<1x3x4x4xf16>
// F16: "tpu.Conv2D"{{.*}}group = 3 : i64{{.*}}with_bias = true{{.*}} : (tensor<1x3x4x4xf16>, tensor<3x1x1x1xf16>, tensor<3xf32>) -> tensor<1x3x4x4xf16>
// F16: loc("in_preprocess_slice")
// F16: loc("in_rawin_preprocess_f16")
// F16: loc("in_preprocess_dwconv")

// INT8: "tpu.Permute"{{.*}} {order = [0, 3, 1, 2]} : (tensor<1x6x8x3x!quant.uniform<u8:f32, 1.000000e+00>>, none)
// INT8: "tpu.ScaleLut"{{.*}} {bias = [-5.000000e+00, -2.500000e+01, -1.000000e+02], scale = [2.500000e-01, 5.000000e-01, 1.000000e+00], sign = true} : {{.*}} -> tensor<1x3x4x4x!quant.uniform<i8:f32, 5.000000e-01>>
// The filter's channels are swapped, not the tensor's.
// INT8-NOT: tpu.SwapChannel
// INT8: loc("y_y_filter_i8_swap_channel")
// WEIGHTS: in_preprocess_scale_lut_in_preprocess_table |i1 768: -5, -5, -4, -4, -4, -4, -3
// WEIGHTS-NEXT: y_y_filter_i8_swap_channel |i1 3: -4, 2, 1

// YUV: "tpu.Yuv2rgbFormula"{{.*}} {dst_format = 4 : ui32, formula_mode = #tpu<yuv2rgb_formula_mode _601_limited>, image_format = #tpu<image_out_format UINT8>, round_mode = #tpu<round_mode HalfAwayFromZero>, src_format = 3 : ui32} : (tensor<1x1x9x8x!quant.uniform<u8:f32, 1.000000e+00>>) -> tensor<1x3x6x8x!quant.uniform<u8:f32, 1.000000e+00>>

// ASSIGN: error: fuse-preprocess: 'module.chip' is not decided: run processor-assign before
// FORMAT: error: fuse-preprocess: option customization_format: unknown format 'RGB_PLANR'; did you mean 'RGB_PLANAR'?; expected one of RGB_PLANAR, RGB_PACKED, BGR_PLANAR, BGR_PACKED, GRAYSCALE, YUV420_PLANAR, YUV_NV21, YUV_NV12, RGBA_PLANAR
// MODE: error: fuse-preprocess: option mode: unknown mode 'F31'
// ALIGN: error: fuse-preprocess: option align: frames with gaps between rows are not supported yet
// CHANNELS: error: fuse-preprocess: input 'in': GRAYSCALE has 1 channels (gray), the network takes 3 (rgb)
// PLAIN: error: fuse-preprocess: no input is a picture with its preprocessing (in); model_transform sets it (--pixel_format, --mean, --scale)
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x3x4x4xf32>) -> tensor<1x1x4x4xf32> {
    %none = "top.None"() : () -> none
    %in = "top.Input"(%arg0) {do_preprocess = true, pixel_format = "rgb", channel_format = "nchw", resize_dims = [6, 8], mean = [100.0, 50.0, 20.0], scale = [5.000000e-01, 2.500000e-01, 1.250000e-01]} : (tensor<1x3x4x4xf32>) -> tensor<1x3x4x4xf32> loc("in")
    %w = "top.Weight"() : () -> tensor<1x3x1x1xf32> loc("w")
    %y = "top.Conv"(%in, %w, %none) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x3x4x4xf32>, tensor<1x3x1x1xf32>, none) -> tensor<1x1x4x4xf32> loc("y")
    return %y : tensor<1x1x4x4xf32>
  }
}
