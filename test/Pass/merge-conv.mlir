// A 1x1 convolution and the one behind it are one; not if it has an activation.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w1:2x2x1x1=1,2,3,4 b1:2=1,1 w2:2x2x1x1=1,1,0,1 b2:2=10,20
// RUN: %tpuc-opt %s --top-merge-conv -o merged.mlir
// RUN: FileCheck %s --input-file merged.mlir
// RUN: %npz show merged_weight.npz | FileCheck %s --check-prefix=WEIGHTS

// second x first: [[1,1],[0,1]] x [[1,2],[3,4]] and its bias: [[1,1],[0,1]] x [1,1] + [10,20]
// WEIGHTS-DAG: second_filter <f4 2x2x1x1: 4, 6, 3, 4
// WEIGHTS-DAG: second_bias <f4 2: 12, 21

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK: %[[SECOND:.*]] = "top.Conv"(%[[IN]],{{.*}}do_relu = true
// CHECK: "top.Conv"(%[[SECOND]],
// CHECK-NOT: "top.Conv"
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
    %none = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %w1 = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("w1")
    %b1 = "top.Weight"() : () -> tensor<2xf32> loc("b1")
    %w2 = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("w2")
    %b2 = "top.Weight"() : () -> tensor<2xf32> loc("b2")
    %first = "top.Conv"(%in, %w1, %b1) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc("first")
    %second = "top.Conv"(%first, %w2, %b2) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], do_relu = true} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc("second")
    %third = "top.Conv"(%second, %w2, %none) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32> loc("third")
    return %third : tensor<1x2x4x4xf32>
  }
}
