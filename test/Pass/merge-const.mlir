// Constant factors go into weights or into each other; constant operands in a row become one.
// RUN: mkdir -p %t && cd %t && %npz make w.npz filter:2x2x1x1=1,2,3,4 bias:2=5,6 row:1x1x1x4=1,2,3,4 channel:1x2x1x1=10,20
// RUN: %tpuc-opt %s --top-merge-const -o out.mlir && FileCheck %s --input-file out.mlir
// RUN: %npz show out_weight.npz | FileCheck %s --check-prefix=WEIGHTS

// WEIGHTS-DAG: <f4 2: 10, 12
// WEIGHTS-DAG: <f4 2x2x1x1: 2, 4, 6, 8
// WEIGHTS-DAG: sums_merged <f4 1x2x1x4: 11, 12, 13, 14, 21, 22, 23, 24
// WEIGHTS-DAG: products_divisor <f4 1x2x1x4: 10, 20, 30, 40, 20, 40, 60, 80
// The limit of a Relu grows with the factor.
// CHECK: "top.Conv"({{.*}}do_relu = true{{.*}}relu_limit = 1.200000e+01{{.*}}loc(#[[DOUBLED:.*]])
// CHECK: "top.Conv"({{.*}}do_relu = true{{.*}}relu_limit = -1.000000e+00
// A negative factor does not go through a Relu.
// CHECK: "top.MulConst"(%{{.*}}) {const_val = -1.000000e+00{{.*}}loc(#[[NEGATIVE:.*]])
// CHECK: "top.MulConst"(%{{.*}}) {const_val = -6.000000e+00 : f64, do_relu = true{{.*}}relu_limit = 3.000000e+00
// CHECK: "top.Add"(%{{.*}}, %{{.*}}) {{.*}}tensor<1x2x1x4xf32>
// CHECK-NEXT: top.Weight
// CHECK-NEXT: "top.Mul"(%{{.*}}, %{{.*}}) {{.*}}tensor<1x2x1x4xf32>
// CHECK-DAG: #[[DOUBLED]] = loc("doubled")
// CHECK-DAG: #[[NEGATIVE]] = loc("negative")
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> (tensor<1x2x4x4xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %filter = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("filter")
    %bias = "top.Weight"() : () -> tensor<2xf32> loc("bias")
    %row = "top.Weight"() : () -> tensor<1x1x1x4xf32> loc("row")
    %channel = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("channel")
    %conv = "top.Conv"(%in, %filter, %bias) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], do_relu = true, relu_limit = 6.0 : f64} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc("conv")
    %doubled = "top.MulConst"(%conv) {const_val = 2.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("doubled")
    %conv2 = "top.Conv"(%doubled, %filter, %bias) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], do_relu = true} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc("conv2")
    %negative = "top.MulConst"(%conv2) {const_val = -1.0 : f64, do_relu = true} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("negative")
    %three = "top.MulConst"(%negative) {const_val = -3.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("three")
    %six = "top.MulConst"(%three) {const_val = 2.0 : f64, do_relu = true, relu_limit = 3.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("six")
    %sum = "top.Add"(%row, %six) : (tensor<1x1x1x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("sum")
    %sums = "top.Add"(%sum, %channel) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("sums")
    %product = "top.Mul"(%sums, %row) : (tensor<1x2x4x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x4x4xf32> loc("product")
    %products = "top.Mul"(%channel, %product) {do_relu = true} : (tensor<1x2x1x1xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("products")
    return %products : tensor<1x2x4x4xf32>
  }
}
