// A batch norm goes into the convolution or the matrix product before it, and is a Scale where there is none.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w:2x2x1x1=1,2,3,4 mean:2=1,2 variance:2=3.99999,0.24999 gamma:2=2,3 beta:2=10,20 m:3x2=1,2,3,4,5,6
// RUN: %tpuc-opt %s --top-fold-batchnorm -o folded.mlir
// RUN: FileCheck %s --input-file folded.mlir
// RUN: %npz show folded_weight.npz | FileCheck %s --check-prefix=WEIGHTS

// gamma / sqrt(variance + epsilon) is 1 and 6.
// WEIGHTS-DAG: conv_bias <f4 2: 9, 8
// WEIGHTS-DAG: conv_filter <f4 2x2x1x1: 1, 2, 18, 24
// WEIGHTS-DAG: product_norm_bias <f4 2: 9, 8
// WEIGHTS-DAG: product_norm_filter <f4 3x2: 1, 12, 3, 24, 5, 36
// WEIGHTS-DAG: norm_bias <f4 1x2: 9, 8
// WEIGHTS-DAG: norm_scale <f4 1x2: 1, 6
// What nobody reads any more is gone.
// WEIGHTS-NOT: gamma

// CHECK-NOT: top.BatchNorm
// The convolution keeps its name.
// CHECK: %[[CONV:.*]] = "top.Conv"(%{{.*}}, %{{.*}}, %{{.*}}) {{.*}}do_relu = true{{.*}}(tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc(#[[NAME:.*]])
// CHECK: "top.Scale"(%[[CONV]], %{{.*}}, %{{.*}}) {{.*}}(tensor<1x2x4x4xf32>, tensor<1x2xf32>, tensor<1x2xf32>)
// The product goes by the batch norm's name.
// CHECK: "top.MatMul"(%{{.*}}, %{{.*}}, %{{.*}}) {{.*}}do_relu = true{{.*}}(tensor<4x3xf32>, tensor<3x2xf32>, tensor<2xf32>) -> tensor<4x2xf32> loc(#[[PRODUCT:.*]])
// CHECK-DAG: #[[NAME]] = loc("conv")
// CHECK-DAG: #[[PRODUCT]] = loc("product_norm")
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>, %arg1: tensor<4x3xf32>) -> (tensor<1x2x4x4xf32>, tensor<4x2xf32>) {
    %none = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %w = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("w")
    %mean = "top.Weight"() : () -> tensor<2xf32> loc("mean")
    %variance = "top.Weight"() : () -> tensor<2xf32> loc("variance")
    %gamma = "top.Weight"() : () -> tensor<2xf32> loc("gamma")
    %beta = "top.Weight"() : () -> tensor<2xf32> loc("beta")
    %conv = "top.Conv"(%in, %w, %none) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32> loc("conv")
    %fused = "top.BatchNorm"(%conv, %mean, %variance, %gamma, %beta) {do_relu = true} : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc("fused")
    %norm = "top.BatchNorm"(%fused, %mean, %variance, %gamma, %beta) : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc("norm")
    %rows = "top.Input"(%arg1) : (tensor<4x3xf32>) -> tensor<4x3xf32> loc("rows")
    %m = "top.Weight"() : () -> tensor<3x2xf32> loc("m")
    %product = "top.MatMul"(%rows, %m, %none) : (tensor<4x3xf32>, tensor<3x2xf32>, none) -> tensor<4x2xf32> loc("product")
    %product_norm = "top.BatchNorm"(%product, %mean, %variance, %gamma, %beta) {do_relu = true} : (tensor<4x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<4x2xf32> loc("product_norm")
    return %norm, %product_norm : tensor<1x2x4x4xf32>, tensor<4x2xf32>
  }
}
