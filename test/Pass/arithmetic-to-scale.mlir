// Sums and products with one constant per channel are Scales.
// RUN: mkdir -p %t && cd %t && %npz make w.npz c:1x2x1x1=2,3 row:1x1x1x4=1,2,3,4 c3:1x2x1=2,3
// RUN: %tpuc-opt %s --top-arithmetic-to-scale -o out.mlir && FileCheck %s --input-file out.mlir
// RUN: %npz show out_weight.npz | FileCheck %s --check-prefix=WEIGHTS

// WEIGHTS-DAG: product_bias <f4 1x2x1x1: 0, 0
// WEIGHTS-DAG: sum__scale_weight <f4 1x2x1x1: 1, 1
// CHECK: "top.Scale"(%{{.*}}, %{{.*}}, %{{.*}}) {do_relu = true, relu_limit = 6.000000e+00 : f64} : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, tensor<1x2x1x1xf32>)
// CHECK: %[[PRODUCT:.*]] = "top.Scale"
// What is not per channel, has factors, or multiplies another rank stays.
// CHECK: %[[ROW:.*]] = "top.Add"(%[[PRODUCT]]
// CHECK: "top.Add"(%[[ROW]], %{{.*}}) {coeff
// CHECK: "top.Mul"({{.*}}) {{.*}} : (tensor<1x2x16xf32>, tensor<1x2x1xf32>)
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> (tensor<1x2x16xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %c = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("c")
    %row = "top.Weight"() : () -> tensor<1x1x1x4xf32> loc("row")
    %c3 = "top.Weight"() : () -> tensor<1x2x1xf32> loc("c3")
    %sum = "top.Add"(%in, %c) {do_relu = true, relu_limit = 6.0 : f64} : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("sum")
    %product = "top.Mul"(%c, %sum) : (tensor<1x2x1x1xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("product")
    %rows = "top.Add"(%product, %row) : (tensor<1x2x4x4xf32>, tensor<1x1x1x4xf32>) -> tensor<1x2x4x4xf32> loc("rows")
    %factors = "top.Add"(%rows, %c) {coeff = [1.0, 2.0]} : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("factors")
    %flat = "top.Reshape"(%factors) {shape = [1, 2, 16]} : (tensor<1x2x4x4xf32>) -> tensor<1x2x16xf32> loc("flat")
    %out = "top.Mul"(%flat, %c3) : (tensor<1x2x16xf32>, tensor<1x2x1xf32>) -> tensor<1x2x16xf32> loc("out")
    return %out : tensor<1x2x16xf32>
  }
}
