// A small network in INT8: casts at the ends, integer weights, multipliers and shifts.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w:2x2x1x1=1,-0.53,0.26,1.97 b:2=0.5,-0.25
// RUN: %tpuc-opt %s --import-calibration-table=file=%inputs/table '--processor-assign=chip=bm1684x mode=INT8' --processor-top-optimize --convert-top-to-tpu=weightFileName=tpu.npz -o tpu.mlir
// RUN: FileCheck %s --input-file tpu.mlir
// RUN: %npz show tpu.npz | FileCheck %s --check-prefix=WEIGHTS
// RUN: %tpuc-opt tpu.mlir -o /dev/null
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684x mode=INT8' --convert-top-to-tpu 2>&1 | FileCheck %s --check-prefix=THRESHOLD
// RUN: not %tpuc-opt %s --import-calibration-table=file=%inputs/table --convert-top-to-tpu 2>&1 | FileCheck %s --check-prefix=ASSIGN
// RUN: not %tpuc-opt %s --import-calibration-table=file=%inputs/table '--processor-assign=chip=bm1684x mode=INT8' '--convert-top-to-tpu=doWinograd=true' 2>&1 | FileCheck %s --check-prefix=OPTION
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1684x mode=INT8' '--import-calibration-table=file=%inputs/table asymmetric=True' '--convert-top-to-tpu=weightFileName=asym.npz asymmetric=True' -o asym.mlir && FileCheck %s --check-prefix=ASYM --input-file asym.mlir
// RUN: %npz show asym.npz | FileCheck %s --check-prefix=FOLDED && %tpuc-opt asym.mlir -o /dev/null
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684 mode=INT8' --import-calibration-table=file=%inputs/table --convert-top-to-tpu=asymmetric=true 2>&1 | FileCheck %s --check-prefix=ZERO

// CHECK: module @net attributes {{{.*}}module.state = "TPU_LOWERED"{{.*}}module.weight_file = "tpu.npz"}
// CHECK: func.func @main({{.*}}) -> tensor<1x2x4x4xf32>
// 2.0 / 127
// CHECK: "tpu.Cast"{{.*}} -> tensor<1x2x4x4x!quant.uniform<i8:f32, 0.015748031496062992>>
// A Relu makes the result unsigned: 4.0 / 255.
// CHECK: "tpu.Conv2D"{{.*}}multiplier = [{{[0-9]+}}, {{[0-9]+}}]{{.*}}rshift = [{{[0-9]+}}, {{[0-9]+}}]{{.*}}(tensor<1x2x4x4x!quant.uniform<i8:f32, 0.015748031496062992>>, tensor<2x2x1x1xi8>, tensor<1x2x1x1xi32>) -> tensor<1x2x4x4x!quant.uniform<u8:f32, 0.015686274509803921>>
// 0.015748 / 0.05 is about 81 / 2^8, 0.015686 / 0.05 about 5 / 2^4.
// CHECK: "tpu.Add"{{.*}}multipliers = [81, 5]{{.*}}rshifts = [8, 4]
// CHECK: "tpu.Cast"{{.*}} -> tensor<1x2x4x4xf32>

// Weights over the largest of their channel, times 127; the bias over the scales of weights and input.
// WEIGHTS: conv_bias_int32 <i4 2: 4032, -1023
// WEIGHTS: conv_filter_i8 |i1 {{.*}}: 127, -67, 17, 127

// THRESHOLD: error: convert-top-to-tpu: no threshold for 2 layers: 'in', 'sum'; calibrate, or give a calibration table that has them
// ASSIGN: error: convert-top-to-tpu: 'module.chip' is not decided: run processor-assign before
// OPTION: error: convert-top-to-tpu: option doWinograd is not supported yet

// [-2, 1.5] in 255 steps: zero is 18, and [-2, 6.35] has it at -67. What starts at zero has no zero point.
// ASYM: module @net attributes {{{.*}}module.asymmetric = true
// ASYM: "tpu.Cast"{{.*}} -> tensor<1x2x4x4x!quant.uniform<i8:f32, 0.013725490196078431:18>>
// ASYM: "tpu.Conv2D"{{.*}} -> tensor<1x2x4x4x!quant.uniform<u8:f32, 0.015686274509803921>>
// ASYM: "tpu.Add"{{.*}} -> tensor<1x2x4x4x!quant.uniform<i8:f32, 0.03274509803921568{{[0-9]*}}:-67>>
// 0.5 / (0.013725 / 127) is 4626; less 18 (127 - 67). The other channel: -0.25 / (0.013725 1.97 / 127) is -1174; less 18 (17 + 127).
// FOLDED: conv_bias_int32 <i4 2: 3546, -3766
// ZERO: error: convert-top-to-tpu: chip bm1684 has no zero points: asymmetric quantization is for bm1684x, bm1688, cv186x, bm1690
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %w = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("w")
    %b = "top.Weight"() : () -> tensor<2xf32> loc("b")
    %conv = "top.Conv"(%in, %w, %b) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], do_relu = true} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc("conv")
    %sum = "top.Add"(%in, %conv) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("sum")
    return %sum : tensor<1x2x4x4xf32>
  }
}
