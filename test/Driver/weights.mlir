// Weights that a pass changes never replace the file that they were read from.
// RUN: rm -rf %t && mkdir -p %t && cd %t && %npz make w.npz b:1x2x1x1=5,6 w:2x2x1x1=1
// RUN: cp w.npz before.npz && cp %s net.mlir
// RUN: %tpuc-opt net.mlir --top-fuse-bias -o fused.mlir
// RUN: cmp w.npz before.npz
// RUN: FileCheck %s --input-file fused.mlir
// RUN: %npz show fused_weight.npz | FileCheck %s --check-prefix=WEIGHTS
// RUN: %tpuc-opt net.mlir --top-fuse-bias | FileCheck %s --check-prefix=STDOUT
// RUN: cmp w.npz before.npz
// RUN: %npz show w_opt.npz | FileCheck %s --check-prefix=WEIGHTS
// In place, twice.
// RUN: %tpuc-opt net.mlir --top-fuse-bias -o net.mlir && %tpuc-opt net.mlir --shape-infer -o net.mlir
// RUN: FileCheck %s --input-file net.mlir --check-prefix=INPLACE
// RUN: %npz show net_weight.npz | FileCheck %s --check-prefix=WEIGHTS
// A device has no folder for weights.
// RUN: cp %s net.mlir && %tpuc-opt net.mlir --top-fuse-bias -o /dev/null && not ls /dev/w.npz /dev/null_weight.npz

// CHECK: module.weight_file = "fused_weight.npz"
// STDOUT: module.weight_file = "w_opt.npz"
// INPLACE: module.weight_file = "net_weight.npz"
// WEIGHTS: add_bias <f4 2: 5, 6
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
    %none = "top.None"() : () -> none
    %w = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("w")
    %b = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("b")
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %conv = "top.Conv"(%in, %w, %none) {kernel_shape = [1, 1], pads = [0, 0, 0, 0], strides = [1, 1]} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32> loc("conv")
    %sum = "top.Add"(%conv, %b) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("add")
    return %sum : tensor<1x2x4x4xf32>
  }
}
