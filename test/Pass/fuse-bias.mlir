// Adding a constant per channel is a bias; adding one per element is not.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w:2x2x1x1=1 b:1x2x1x1=5,6 all:1x2x4x4=1 m:32x3=1 mb:3=1,2,3 one:3=10 number:1=4
// RUN: %tpuc-opt %s --top-fuse-bias -o fused.mlir
// RUN: FileCheck %s --input-file fused.mlir
// RUN: %npz show fused_weight.npz | FileCheck %s --check-prefix=WEIGHTS

// WEIGHTS-DAG: add_bias <f4 2: 5, 6
// WEIGHTS-DAG: sum_Add_bias <f4 3: 11, 12, 13
// WEIGHTS-DAG: all <f4 1x2x4x4:

// The fused op is known by the name of the addition.
// CHECK: %[[CONV:.*]] = "top.Conv"({{.*}}do_relu = true{{.*}}(tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc(#[[NAME:.*]])
// CHECK: "top.Add"(%[[CONV]],
// CHECK: "top.MatMul"({{.*}}(tensor<1x32xf32>, tensor<32x3xf32>, tensor<3xf32>)
// One number stays an addition.
// CHECK: "top.MatMul"({{.*}}tensor<32x3xf32>, none)
// CHECK: "top.Add"({{.*}}(tensor<1x3xf32>, tensor<1xf32>)
// CHECK: "top.Add"({{.*}}(tensor<1x3xf32>, tensor<1x3xf32>)
// CHECK: #[[NAME]] = loc("add")
// A matrix product with a row is what ONNX calls Gemm.
// CHECK: loc("sum_Gemm")
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<1x3xf32> {
    %none = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %w = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("w")
    %b = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("b")
    %all = "top.Weight"() : () -> tensor<1x2x4x4xf32> loc("all")
    %m = "top.Weight"() : () -> tensor<32x3xf32> loc("m")
    %mb = "top.Weight"() : () -> tensor<3xf32> loc("mb")
    %one = "top.Weight"() : () -> tensor<3xf32> loc("one")
    %number = "top.Weight"() : () -> tensor<1xf32> loc("number")
    %conv = "top.Conv"(%in, %w, %none) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32> loc("conv")
    %add = "top.Add"(%b, %conv) {do_relu = true} : (tensor<1x2x1x1xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("add")
    %kept = "top.Add"(%add, %all) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("kept")
    %flat = "top.Reshape"(%kept) {shape = [1, 32]} : (tensor<1x2x4x4xf32>) -> tensor<1x32xf32> loc("flat")
    %mm = "top.MatMul"(%flat, %m, %mb) : (tensor<1x32xf32>, tensor<32x3xf32>, tensor<3xf32>) -> tensor<1x3xf32> loc("mm")
    %sum = "top.Add"(%mm, %one) : (tensor<1x3xf32>, tensor<3xf32>) -> tensor<1x3xf32> loc("sum_Add")
    %more = "top.MatMul"(%flat, %m, %none) : (tensor<1x32xf32>, tensor<32x3xf32>, none) -> tensor<1x3xf32> loc("more")
    %plus = "top.Add"(%more, %number) : (tensor<1x3xf32>, tensor<1xf32>) -> tensor<1x3xf32> loc("plus")
    %both = "top.Add"(%sum, %plus) : (tensor<1x3xf32>, tensor<1x3xf32>) -> tensor<1x3xf32> loc("both")
    return %both : tensor<1x3xf32>
  }
}
