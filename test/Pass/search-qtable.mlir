// Every layer alone in INT8: the worst run in float, all get thresholds.
// RUN: rm -rf %t && mkdir -p %t && cd %t && %npz make w.npz w:2x2x1x1=100,0,0,0.01 v:2x2x1x1=0.01,0,0,100
// RUN: %npz make a.npz in:1x2x4x4=1,-2,0.5,0.25,3,-0.125,0.75 && %npz make b.npz in:1x2x4x4=3,-1,0.3,0.01,-0.7
// RUN: echo a.npz > list && echo b.npz >> list
// RUN: %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x expected-cos=1 max-float-layers=1 quantize-method-list=KL,MAX' -o found.mlir 2> said
// RUN: FileCheck %s --input-file found.mlir
// RUN: FileCheck %s --input-file said --check-prefix=SAID
// RUN: %tpuc-opt found.mlir '--processor-assign=chip=bm1684x mode=INT8' --processor-top-optimize --convert-top-to-tpu | FileCheck %s --check-prefix=LOWERED
// RUN: %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x expected-cos=0.1' 2>&1 | FileCheck %s --check-prefix=ENOUGH
// RUN: %tpuc-opt %s '--fp-forward=outputs=c chip=bm1684x fp-type=F32' '--search-qtable=data-list=list chip=bm1684x expected-cos=1 max-float-layers=0 quiet' | FileCheck %s --check-prefix=KEPT
// RUN: %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x budget=1layers' 2>&1 | FileCheck %s --check-prefix=BUDGET
// RUN: %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x expected-cos=0.9999 optimize' 2>&1 | FileCheck %s --check-prefix=OPTIMIZE
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x budget=1leyer' 2>&1 | FileCheck %s --check-prefix=NO-BUDGET
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x budget=1' 2>&1 | FileCheck %s --check-prefix=SMALL
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684 budget=9000' 2>&1 | FileCheck %s --check-prefix=CYCLES
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x global-compare-layers=a,' 2>&1 | FileCheck %s --check-prefix=NAMES
// RUN: not %tpuc-opt %s '--search-qtable=chip=bm1684x' 2>&1 | FileCheck %s --check-prefix=SAMPLES
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x quantize-method-list=KL,ADMM' 2>&1 | FileCheck %s --check-prefix=METHODS
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x expected-cos=1.5' 2>&1 | FileCheck %s --check-prefix=COS
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684 fp-type=BF16' 2>&1 | FileCheck %s --check-prefix=TYPE
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x global-compare-layers=d' 2>&1 | FileCheck %s --check-prefix=LAYERS
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x global-compare-layers=a:0.5,c:0.4' 2>&1 | FileCheck %s --check-prefix=WEIGHTS
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x memory=much' 2>&1 | FileCheck %s --check-prefix=MEMORY
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x post-process=yolov5:conf=2' 2>&1 | FileCheck %s --check-prefix=POST
// RUN: not %tpuc-opt %s '--search-qtable=data-list=list chip=bm1684x inference-num=0' 2>&1 | FileCheck %s --check-prefix=NUMBER

// CHECK: "top.Input"{{.*}} -> tensor<1x2x4x4x!quant.calibrated<f32<-3.0
// CHECK: "top.Conv"
// CHECK-NOT: quantize_mode
// CHECK: "top.Conv"{{.*}}quantize_mode = "F16"{{.*}} -> tensor<1x2x4x4x!quant.calibrated<
// SAID: search-qtable: 1 of {{[0-9]+}} layers in float, outputs_cos {{[01]}}.{{[0-9]+}} (INT8 {{.*}})
// LOWERED: "tpu.Conv2D"{{.*}}uniform<i8
// LOWERED: "tpu.Conv2D"{{.*}}xf16
// ENOUGH: search-qtable: outputs_cos {{.*}} in INT8, good enough
// ENOUGH-NOT: quantize_mode
// ENOUGH: quant.calibrated
// KEPT: "top.Conv"{{.*}}calibrated
// KEPT: "top.Conv"{{.*}}quantize_mode = "F32"
// BUDGET: search-qtable: pareto: float layers, layers, outputs_cos
// BUDGET-NEXT: search-qtable: pareto:    0            0 0.{{[0-9]+}}
// BUDGET: search-qtable: {{[01]}} of {{[0-9]+}} layers in float
// OPTIMIZE: search-qtable: pareto: float layers, cycles, outputs_cos
// OPTIMIZE: search-qtable: {{[0-9]+}} of {{[0-9]+}} layers in float
// NO-BUDGET: error: search-qtable: option budget: '1leyer': expected a number of estimated cycles (900000) or of layers (8layers)
// SMALL: error: search-qtable: option budget: 1 cycles, but without any float layer the network takes
// CYCLES: error: search-qtable: option budget: cycles are estimated for bm1684x only, not for bm1684; give a number of layers (8layers)
// NAMES: error: search-qtable: option global-compare-layers: 'a,' has an empty name; expected layer1,layer2 or layer1:0.3,layer2:0.7
// SAMPLES: error: search-qtable: no samples
// METHODS: error: search-qtable: option quantize-method-list: {{.*}}KL, MSE, MAX, Percentile9999
// COS: error: search-qtable: option expected-cos is 1.5, expected a number from 0 to 1
// TYPE: error: search-qtable: option fp-type: 'BF16' is no float type of bm1684
// LAYERS: error: search-qtable: layer 'd' is not in the network
// WEIGHTS: error: search-qtable: option global-compare-layers: {{.*}}0.9
// MEMORY: error: search-qtable: option memory: 'much' should be a number of bytes
// POST: error: search-qtable: post-processing: yolov5: conf is '2', expected a number from 0 to 1
// NUMBER: error: search-qtable: option inference-num: 0 should be at least 1
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
