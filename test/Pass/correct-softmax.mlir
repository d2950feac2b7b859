// Rows of attention weights have means of their maxima: 1 for the first head (one score stands out), 0.5 for the second (all are alike).
// RUN: rm -rf %t && mkdir -p %t/ds && cd %t && %npz make w.npz unused:1=0
// RUN: %npz make ds/a.npz scores:1x2x2x2=100,0,0,100,1,1,1,1 values:1x2x2x1=1,2,3,4
// RUN: %tpuc-opt %s --top-correct-softmax="dataset=ds" -o %t/new.mlir
// RUN: FileCheck %s --input-file %t/new.mlir
// RUN: %npz show w_smc.npz | FileCheck %s --check-prefix=WEIGHTS
// Twice is once.
// RUN: cp w_smc.npz first.npz && %tpuc-opt %s --top-correct-softmax="dataset=ds threads=1" -o %t/new.mlir && cmp w_smc.npz first.npz
// RUN: not %tpuc-opt %s --top-correct-softmax 2>&1 | FileCheck %s --check-prefix=SAMPLES
// RUN: not %tpuc-opt %s --top-correct-softmax="dataset=ds threads=-1" 2>&1 | FileCheck %s --check-prefix=THREADS
// RUN: not %tpuc-opt %s --top-correct-softmax="dataset=ds weight-file=w.npz" 2>&1 | FileCheck %s --check-prefix=FILE

// CHECK: module.weight_file = "w_smc.npz"
// CHECK: %[[SOFTMAX:.*]] = "top.Softmax"
// CHECK: %[[INVERSE:.*]] = "top.Weight"() : () -> tensor<1x2x1x1xf32>
// CHECK: %[[SCALED:.*]] = "top.Mul"(%[[SOFTMAX]], %[[INVERSE]])
// CHECK: %[[PRODUCT:.*]] = "top.MatMul"(%[[SCALED]],
// CHECK: %[[BACK:.*]] = "top.Mul"(%[[PRODUCT]],
// CHECK: "top.Reshape"(%[[BACK]])
// WEIGHTS-DAG: softmax_Smc_Inv_Weight <f4 1x2x1x1: 1, 2
// WEIGHTS-DAG: softmax_Smc_Weight <f4 1x2x1x1: 1, 0.5
// SAMPLES: error: top-correct-softmax: no samples: give a dataset or a data_list
// THREADS: error: top-correct-softmax: option threads: -1 is negative
// FILE: error: top-correct-softmax: 'w.npz' is the file of the weights that are read; the new ones need another
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x2x2xf32>, %arg1: tensor<1x2x2x1xf32>) -> tensor<1x4xf32> {
    %none = "top.None"() : () -> none
    %scores = "top.Input"(%arg0) : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> loc("scores")
    %values = "top.Input"(%arg1) : (tensor<1x2x2x1xf32>) -> tensor<1x2x2x1xf32> loc("values")
    %softmax = "top.Softmax"(%scores) {axis = 3 : si32} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32> loc("softmax")
    %product = "top.MatMul"(%softmax, %values, %none) : (tensor<1x2x2x2xf32>, tensor<1x2x2x1xf32>, none) -> tensor<1x2x2x1xf32> loc("product")
    %out = "top.Reshape"(%product) {shape = [1, 4]} : (tensor<1x2x2x1xf32>) -> tensor<1x4xf32> loc("out")
    return %out : tensor<1x4xf32>
  }
}
