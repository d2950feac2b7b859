// The steps of 'in' are coarse: 0.45 becomes 0.787. What that adds to the mean of 'first' its bias takes back.
// RUN: rm -rf %t && mkdir -p %t/ds && cd %t && %npz make w.npz w1:2x1x1x1=1,3 b1:2=0,0 w2:1x2x1x1=1,-1 b2:1=0 && %npz make ds/a.npz in:1x1x2x2=0.45,0.45,0.45,10
// RUN: printf 'in 100 -1 100\nfirst 31 0 31\nsecond 31 -31 0\n' > table
// RUN: %tpuc-opt %s --top-correct-bias="table=table dataset=ds expected-cos=1 min-layer-cos=1" -o %t/new.mlir
// RUN: FileCheck %s --input-file %t/new.mlir
// RUN: %npz show w_bc.npz | FileCheck %s --check-prefix=WEIGHTS
// RUN: %npz show w.npz b1 | FileCheck %s --check-prefix=OLD
// Twice is once.
// RUN: cp w_bc.npz first.npz && %tpuc-opt %s --top-correct-bias="table=table dataset=ds expected-cos=1 min-layer-cos=1 threads=1" -o %t/new.mlir && cmp w_bc.npz first.npz
// Good enough: nothing changes, nothing is written.
// RUN: rm w_bc.npz && %tpuc-opt %s --top-correct-bias="table=table dataset=ds expected-cos=0.5" | FileCheck %s --check-prefix=SAME
// RUN: not ls w_bc.npz
// RUN: not %tpuc-opt %s --top-correct-bias 2>&1 | FileCheck %s --check-prefix=TABLE
// RUN: not %tpuc-opt %s --top-correct-bias="table=none dataset=ds" 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not %tpuc-opt %s --top-correct-bias="table=table" 2>&1 | FileCheck %s --check-prefix=SAMPLES
// RUN: not %tpuc-opt %s --top-correct-bias="table=table dataset=ds chip=bm1684y" 2>&1 | FileCheck %s --check-prefix=CHIP

// CHECK: module.weight_file = "w_bc.npz"
// A step of 'in' is 100/127, one of 'first' 31/255: 0.45 becomes 6 steps and 10 becomes 84. Means: (3 x 0.45 + 10) / 4 - (3 x 6 + 84) x 0.1216 / 4.
// WEIGHTS-DAG: b1 <f4 2: -0.2625{{[0-9]*}}, -0.909{{[0-9]*}}
// WEIGHTS-DAG: w1 <f4 2x1x1x1: 1, 3
// OLD: b1 <f4 2: 0, 0
// SAME: module.weight_file = "w.npz"
// TABLE: error: top-correct-bias: option table is missing: the calibration table
// MISSING: error: top-correct-bias: none:
// SAMPLES: error: top-correct-bias: no samples: give a dataset or a data_list
// CHIP: error: top-correct-bias: option chip: unknown chip 'bm1684y'; did you mean 'bm1684x'?
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32> loc("in")
    %w1 = "top.Weight"() : () -> tensor<2x1x1x1xf32> loc("w1")
    %b1 = "top.Weight"() : () -> tensor<2xf32> loc("b1")
    %w2 = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("w2")
    %b2 = "top.Weight"() : () -> tensor<1xf32> loc("b2")
    %first = "top.Conv"(%in, %w1, %b1) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], do_relu = true} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32> loc("first")
    %second = "top.Conv"(%first, %w2, %b2) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x2x2xf32>, tensor<1x2x1x1xf32>, tensor<1xf32>) -> tensor<1x1x2x2xf32> loc("second")
    return %second : tensor<1x1x2x2xf32>
  }
}
