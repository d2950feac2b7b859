// From the inputs on, layers that are far from the float network run in float with those that read them.
// RUN: rm -rf %t && mkdir -p %t && cd %t && %npz make w.npz w:2x2x1x1=100,0,0,0.01 v:2x2x1x1=0.01,0,0,100
// RUN: %npz make a.npz in:1x2x4x4=1,-2,0.5,0.25,3,-0.125,0.75 && %npz make b.npz in:1x2x4x4=3,-1,0.3,0.01,-0.7
// RUN: echo a.npz > list && echo b.npz >> list
// RUN: %tpuc-opt %s '--top-calibrate=data-list=list method=max table=table' '--qtable-by-similarity=data-list=list chip=bm1684x expected-cos=1 min-layer-cos=1' -o found.mlir 2> said
// RUN: FileCheck %s --input-file found.mlir
// RUN: FileCheck %s --input-file said --check-prefix=SAID
// RUN: %tpuc-opt %s '--qtable-by-similarity=data-list=list calibration-table=table chip=bm1684x expected-cos=0.1' 2>&1 | FileCheck %s --check-prefix=ENOUGH
// RUN: not %tpuc-opt %s '--qtable-by-similarity=data-list=list calibration-table=none chip=bm1684x' 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not %tpuc-opt %s '--qtable-by-similarity=data-list=list calibration-table=table chip=bm1684x min-layer-cos=-1' 2>&1 | FileCheck %s --check-prefix=COS

// CHECK: "top.Conv"{{.*}}quantize_mode = "F16"{{.*}} -> tensor<1x2x4x4x!quant.calibrated<
// CHECK: "top.Conv"{{.*}}quantize_mode = "F16"
// SAID: qtable-by-similarity: {{[0-9]+}} of {{[0-9]+}} layers in float, outputs_cos
// ENOUGH: qtable-by-similarity: outputs_cos {{.*}} in INT8, good enough
// NONE: error: qtable-by-similarity: {{.*}}none: no such file
// COS: error: qtable-by-similarity: option min-layer-cos is -1, expected a number from 0 to 1
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
