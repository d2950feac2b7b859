// Arithmetic that can end in a Relu takes the one behind it.
// RUN: mkdir -p %t && cd %t && %npz make w.npz c:1x2x1x1=1,2
// RUN: %tpuc-opt %s --top-fuse-relu | FileCheck %s

// CHECK: "top.Sub"({{.*}}do_relu = true{{.*}}relu_limit = 1.000000e+00
// CHECK: "top.Mul"({{.*}}do_relu = true{{.*}}relu_limit = 2.000000e+00
// CHECK: "top.AddConst"({{.*}}do_relu = true{{.*}}relu_limit = 3.000000e+00
// CHECK: "top.SubConst"({{.*}}do_relu = true{{.*}}relu_limit = 4.000000e+00
// CHECK: "top.MulConst"({{.*}}do_relu = true{{.*}}relu_limit = 5.000000e+00
// CHECK: "top.Reciprocal"({{.*}}do_relu = true{{.*}}relu_limit = 6.000000e+00
// CHECK-NOT: "top.Relu"
// Others have no Relu of their own.
// CHECK: "top.Max"
// CHECK-NEXT: "top.Relu"
// CHECK-NEXT: "top.Tanh"
// CHECK-NEXT: "top.Relu"
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> (tensor<1x2x4x4xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %c = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("c")
    %sub = "top.Sub"(%in, %c) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("sub")
    %relu1 = "top.Relu"(%sub) {relu_limit = 1.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("relu1")
    %mul = "top.Mul"(%relu1, %c) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("mul")
    %relu2 = "top.Relu"(%mul) {relu_limit = 2.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("relu2")
    %addconst = "top.AddConst"(%relu2) {const_val = 1.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("addconst")
    %relu3 = "top.Relu"(%addconst) {relu_limit = 3.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("relu3")
    %subconst = "top.SubConst"(%relu3) {const_val = 1.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("subconst")
    %relu4 = "top.Relu"(%subconst) {relu_limit = 4.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("relu4")
    %mulconst = "top.MulConst"(%relu4) {const_val = 1.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("mulconst")
    %relu5 = "top.Relu"(%mulconst) {relu_limit = 5.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("relu5")
    %reciprocal = "top.Reciprocal"(%relu5) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("reciprocal")
    %relu6 = "top.Relu"(%reciprocal) {relu_limit = 6.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("relu6")
    %max = "top.Max"(%relu6, %c) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("max")
    %relu7 = "top.Relu"(%max) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("relu7")
    %tanh = "top.Tanh"(%relu7) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("tanh")
    %relu8 = "top.Relu"(%tanh) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("relu8")
    return %relu8 : tensor<1x2x4x4xf32>
  }
}
