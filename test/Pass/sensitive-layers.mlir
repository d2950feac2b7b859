// The layers that lose most with the best of three thresholds run in float; the search begins with the thresholds of the types.
// RUN: rm -rf %t && mkdir -p %t && cd %t && %npz make w.npz w:2x2x1x1=100,0,0,0.01 v:2x2x1x1=0.01,0,0,100
// RUN: %npz make a.npz in:1x2x4x4=1,-2,0.5,0.25,3,-0.125,0.75 && %npz make b.npz in:1x2x4x4=3,-1,0.3,0.01,-0.7
// RUN: echo a.npz > list && echo b.npz >> list
// RUN: %tpuc-opt %s '--top-calibrate=data-list=list method=max table=table' '--sensitive-layers=data-list=list chip=bm1684x expected-cos=1 max-float-layers=1' -o found.mlir 2> said
// RUN: FileCheck %s --input-file found.mlir
// RUN: FileCheck %s --input-file said --check-prefix=SAID
// RUN: %tpuc-opt %s '--sensitive-layers=data-list=list calibration-table=table chip=bm1684x expected-cos=0.1' 2>&1 | FileCheck %s --check-prefix=ENOUGH
// RUN: not %tpuc-opt %s '--sensitive-layers=data-list=list chip=bm1684x' 2>&1 | FileCheck %s --check-prefix=THRESHOLDS
// RUN: echo "x 1.0 -1.0 1.0" > other && not %tpuc-opt %s '--sensitive-layers=data-list=list calibration-table=other chip=bm1684x' 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: not %tpuc-opt %s '--fp-forward=outputs=c chip=bm1684x' '--sensitive-layers=data-list=list calibration-table=table chip=bm1684x' 2>&1 | FileCheck %s --check-prefix=MODE
// RUN: not %tpuc-opt %s '--sensitive-layers=data-list=list calibration-table=table chip=bm1685' 2>&1 | FileCheck %s --check-prefix=CHIP

// CHECK: "top.Conv"
// CHECK-NOT: quantize_mode
// CHECK: "top.Conv"{{.*}}quantize_mode = "F16"{{.*}} -> tensor<1x2x4x4x!quant.calibrated<
// SAID: sensitive-layers: 1 of {{[0-9]+}} layers in float, outputs_cos
// ENOUGH: sensitive-layers: outputs_cos {{.*}} in INT8, good enough
// THRESHOLDS: error: sensitive-layers: no thresholds: run top-calibrate before, or give the option calibration-table
// OTHER: error: sensitive-layers: other: {{.*}}'x'
// MODE: error: sensitive-layers: layer 'c' has the mode F16 already
// CHIP: error: sensitive-layers: {{.*}}bm1685
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
    %none = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %w = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("w")
    %a = "top.Conv"(%in, %w, %none) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32> loc("a")
    %v = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("v")
    %c = "top.Conv"(%a, %v, %none) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32> loc("c")
    return %c : tensor<1x2x4x4xf32>
  }
}
