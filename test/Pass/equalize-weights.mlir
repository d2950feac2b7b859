// Channels of two convolutions in a row get like ranges; the new weights have a file of their own.
// RUN: mkdir -p %t && cd %t && rm -f *.npz && %npz make w.npz w1:2x1x1x1=4,1 b1:2=8,3 w2:1x2x1x1=1,9 b2:1=5 w3:1x1x1x1=2
// RUN: %tpuc-opt %s --top-equalize-weights -o %t/new.mlir 2>&1 | FileCheck %s --check-prefix=WARN
// RUN: FileCheck %s --input-file %t/new.mlir
// RUN: %npz show w_we.npz | FileCheck %s --check-prefix=WEIGHTS
// The old file is as it was.
// RUN: %npz show w.npz w1 | FileCheck %s --check-prefix=OLD
// With the option the limited pair stays: nothing is left to do but the last two.
// RUN: %tpuc-opt %s --top-equalize-weights="skip-limited weight-file=other.npz" -o %t/skipped.mlir 2>&1 | count 0
// RUN: %npz show other.npz w1 w2 w3 | FileCheck %s --check-prefix=SKIPPED
// A second run of the same module gives the same file.
// RUN: cp w_we.npz first.npz && %tpuc-opt %s --top-equalize-weights -o %t/new.mlir 2>/dev/null && cmp w_we.npz first.npz
// RUN: not %tpuc-opt %s --top-equalize-weights="weight-file=w.npz" 2>&1 | FileCheck %s --check-prefix=SAME
// RUN: not %tpuc-opt %s --top-equalize-weights="weight-file=../x.npz" 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: rm w.npz && not %tpuc-opt %s --top-equalize-weights 2>&1 | FileCheck %s --check-prefix=MISSING

// WARN: top-equalize-weights: warning: a ReLU with an upper limit stands between these convolutions; equalizing them changes what the network computes: first --- second{{$}}
// CHECK: module.weight_file = "w_we.npz"
// First pair: ranges 4 and 1, factor 2; 1 and 9, factor 1/3. Second pair: 3 and 2, factor sqrt(3/2).
// WEIGHTS-DAG: w1 <f4 2x1x1x1: 2, 3
// WEIGHTS-DAG: b1 <f4 2: 4, 9
// WEIGHTS-DAG: w2 <f4 1x2x1x1: 1.632993, 2.44949
// WEIGHTS-DAG: b2 <f4 1: 4.082483
// WEIGHTS-DAG: w3 <f4 1x1x1x1: 2.44949
// OLD: w1 <f4 2x1x1x1: 4, 1
// SKIPPED-DAG: w1 <f4 2x1x1x1: 4, 1
// SKIPPED-DAG: w2 <f4 1x2x1x1: 0.4714045, 4.2426{{[0-9]+}}
// SKIPPED-DAG: w3 <f4 1x1x1x1: 4.2426{{[0-9]+}}
// SAME: error: top-equalize-weights: 'w.npz' is the file of the weights that are read; the new ones need another
// NAME: error: top-equalize-weights: weight file '../x.npz' should be a file name that ends in .npz; it is written beside the module
// MISSING: w.npz: the module's weight file is missing
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32> {
    %none = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32> loc("in")
    %w1 = "top.Weight"() : () -> tensor<2x1x1x1xf32> loc("w1")
    %b1 = "top.Weight"() : () -> tensor<2xf32> loc("b1")
    %w2 = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("w2")
    %b2 = "top.Weight"() : () -> tensor<1xf32> loc("b2")
    %w3 = "top.Weight"() : () -> tensor<1x1x1x1xf32> loc("w3")
    %first = "top.Conv"(%in, %w1, %b1) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], do_relu = true, relu_limit = 6.0 : f64} : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc("first")
    %second = "top.Conv"(%first, %w2, %b2) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, tensor<1xf32>) -> tensor<1x1x4x4xf32> loc("second")
    %relu = "top.Relu"(%second) : (tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32> loc("relu")
    %third = "top.Conv"(%relu, %w3, %none) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x1x4x4xf32>, tensor<1x1x1x1xf32>, none) -> tensor<1x1x4x4xf32> loc("third")
    return %third : tensor<1x1x4x4xf32>
  }
}
