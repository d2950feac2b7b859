// A quantize table decides the mode of single ops: the attribute that it becomes, what lowering makes of it, and back.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w:2x2x1x1=1,-0.53,0.26,1.97 b:2=0.5,-0.25
// RUN: echo "conv F16" > table && echo "cnov F16" > unknown && echo "conv FP16" > word && echo "conv F16 now" > columns
// RUN: %tpuc-opt %s --import-quantize-table=file=table --export-quantize-table=file=again | FileCheck %s
// RUN: FileCheck %s --check-prefix=AGAIN --input-file again
// RUN: %tpuc-opt %s --import-calibration-table=file=%inputs/table '--processor-assign=chip=bm1684x mode=INT8' --convert-top-to-tpu=qtable=table | FileCheck %s --check-prefix=MIXED
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1684x mode=BF16' --convert-top-to-tpu | FileCheck %s --check-prefix=BF16
// RUN: not %tpuc-opt %s --import-quantize-table=file=unknown 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: %tpuc-opt %s '--import-quantize-table=file=unknown ignore-unknown-layers=true' 2>&1 | FileCheck %s --check-prefix=IGNORED
// RUN: not %tpuc-opt %s --import-quantize-table=file=word 2>&1 | FileCheck %s --check-prefix=WORD
// RUN: not %tpuc-opt %s --import-quantize-table=file=columns 2>&1 | FileCheck %s --check-prefix=COLUMNS
// RUN: not %tpuc-opt %s --import-quantize-table 2>&1 | FileCheck %s --check-prefix=NOFILE
// RUN: sed 's/do_relu = true/quantize_mode = "F8"/' %s > wrong.mlir && not %tpuc-opt wrong.mlir '--processor-assign=chip=bm1684x mode=F16' --convert-top-to-tpu 2>&1 | FileCheck %s --check-prefix=ATTRIBUTE

// CHECK: "top.Conv"{{.*}}quantize_mode = "F16"
// CHECK: "top.Add"
// CHECK-NOT: quantize_mode
// AGAIN: # total layers: 1
// AGAIN: # op_name   quantize_mode
// AGAIN-NEXT: conv F16

// Casts to f16 before the convolution and to its own 8-bit range behind it.
// MIXED: "tpu.Cast"{{.*}} -> tensor<1x2x4x4xf16>
// MIXED: "tpu.Conv2D"{{.*}}(tensor<1x2x4x4xf16>, tensor<2x2x1x1xf16>, tensor<2xf32>) -> tensor<1x2x4x4x!quant.calibrated<f16<0.000000e+00:4.000000e+00>>>
// MIXED: "tpu.Cast"{{.*}}(tensor<1x2x4x4x!quant.calibrated<f16<0.000000e+00:4.000000e+00>>>) -> tensor<1x2x4x4x!quant.uniform<u8:f16, 0.015686274509803921>>
// MIXED: "tpu.Add"{{.*}}multipliers

// BF16: module.mode = "BF16"
// BF16: "tpu.Cast"{{.*}} -> tensor<1x2x4x4xbf16>
// BF16: "tpu.Add"{{.*}} -> tensor<1x2x4x4xbf16>
// BF16: "tpu.Cast"{{.*}} -> tensor<1x2x4x4xf32>

// UNKNOWN: error: import-quantize-table: unknown: line 1: layer 'cnov' is not in the model; the nearest is 'conv'
// IGNORED: warning: unknown: 1 of 1 layers are not in the network and are skipped
// WORD: error: import-quantize-table: word: line 1: layer 'conv': unknown mode 'FP16', expected one of INT8, F16, BF16, F32, W8F16, W8BF16, W4F16, W4BF16
// COLUMNS: error: import-quantize-table: columns: line 1: expected 'op_name quantize_mode', found 'conv F16 now'
// NOFILE: error: import-quantize-table: option file is missing: the quantize table
// ATTRIBUTE: error: convert-top-to-tpu: layer 'conv': unknown mode 'F8'
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
