// Ops on weights alone are computed; an output keeps its op.
// RUN: mkdir -p %t && cd %t && %npz make w.npz a:2x2=1,2,3,4 b:1x2=10,20
// RUN: %tpuc-opt %s --top-fold-constants -o out.mlir && FileCheck %s --input-file out.mlir
// RUN: %npz show out_weight.npz | FileCheck %s --check-prefix=WEIGHTS

// WEIGHTS: p <f4 2x2: 11, 13, 22, 24

// CHECK: %[[IN:.*]] = "top.Input"
// CHECK-NEXT: %[[W:.*]] = "top.Weight"() : () -> tensor<2x2xf32> loc(#[[P:.*]])
// CHECK-NEXT: "top.Add"(%[[IN]], %[[W]])
// CHECK: "top.Permute"
// CHECK: #[[P]] = loc("p")
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<2x2xf32>) {
    %in = "top.Input"(%arg0) : (tensor<2x2xf32>) -> tensor<2x2xf32> loc("in")
    %a = "top.Weight"() : () -> tensor<2x2xf32> loc("a")
    %b = "top.Weight"() : () -> tensor<1x2xf32> loc("b")
    %s = "top.Add"(%a, %b) : (tensor<2x2xf32>, tensor<1x2xf32>) -> tensor<2x2xf32> loc("s")
    %p = "top.Permute"(%s) {order = [1, 0]} : (tensor<2x2xf32>) -> tensor<2x2xf32> loc("p")
    %o = "top.Add"(%in, %p) : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32> loc("o")
    %q = "top.Permute"(%a) {order = [1, 0]} : (tensor<2x2xf32>) -> tensor<2x2xf32> loc("q")
    return %o, %q : tensor<2x2xf32>, tensor<2x2xf32>
  }
}
