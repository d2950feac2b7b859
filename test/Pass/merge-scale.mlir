// A Scale takes in what it scales: another Scale, a constant factor, a constant summand.
// RUN: mkdir -p %t && cd %t && %npz make w.npz s:1x2x1x1=2,3 b:1x2x1x1=5,7
// RUN: %tpuc-opt %s --top-merge-scale -o out.mlir && FileCheck %s --input-file out.mlir
// RUN: %npz show out_weight.npz | FileCheck %s --check-prefix=WEIGHTS

// 10 (x + 1) times s plus b, times s plus b: 40 x + 40 + 15 and 90 x + 90 + 28.
// WEIGHTS-DAG: second_merged_bias{{.*}} <f4 1x2: 55, 118
// WEIGHTS-DAG: second_merged_scale{{.*}} <f4 1x2: 40, 90
// CHECK: top.Input
// CHECK-NOT: top.MulConst
// CHECK-NOT: top.AddConst
// CHECK: "top.Scale"({{.*}}) {do_relu = true, {{.*}}(tensor<1x2x4x4xf32>, tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2x4x4xf32> loc(#[[SECOND:.*]])
// A Relu between keeps them apart, and so does a second reader.
// CHECK: "top.Scale"
// CHECK: "top.MulConst"
// CHECK: "top.Scale"
// CHECK: "top.Add"
// CHECK: #[[SECOND]] = loc("second")
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> (tensor<1x2x4x4xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %s = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("s")
    %b = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("b")
    %plus = "top.AddConst"(%in) {const_val = 1.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("plus")
    %factor = "top.MulConst"(%plus) {const_val = 10.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("factor")
    %first = "top.Scale"(%factor, %s, %b) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("first")
    %second = "top.Scale"(%first, %s, %b) {do_relu = true} : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("second")
    %third = "top.Scale"(%second, %s, %b) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("third")
    %shared = "top.MulConst"(%third) {const_val = 2.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("shared")
    %last = "top.Scale"(%shared, %s, %b) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("last")
    %out = "top.Add"(%last, %shared) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("out")
    return %out : tensor<1x2x4x4xf32>
  }
}
