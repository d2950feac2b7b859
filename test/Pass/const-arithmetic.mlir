// Constants of one value become attributes, in either order of the operands; others stay.
// RUN: mkdir -p %t && cd %t && %npz make w.npz s:1=1.5 same:1x2x1x1=2.5 different:1x2x1x1=1,2 zero:1=0 one:1=1 wide:1x2x4x4=3
// RUN: %tpuc-opt %s --top-const-arithmetic -o out.mlir && FileCheck %s --input-file out.mlir
// RUN: %npz show out_weight.npz | FileCheck %s --check-prefix=WEIGHTS

// WEIGHTS-DAG: quotient_divisor <f4 1x2x1x1: 1, 0.5
// CHECK: "top.AddConst"(%{{.*}}) {const_val = 1.500000e+00 : f64, do_relu = true, is_scalar = false, relu_limit = 6.000000e+00 : f64}
// CHECK: "top.AddConst"(%{{.*}}) {const_val = 2.500000e+00
// CHECK: "top.AddConst"(%{{.*}}) {const_val = -1.500000e+00
// CHECK: "top.SubConst"(%{{.*}}) {const_val = 1.500000e+00 : f64, do_relu = false, is_reverse = true
// CHECK: "top.MulConst"(%{{.*}}) {const_val = 1.500000e+00
// CHECK: "top.MulConst"(%{{.*}}) {const_val = 0.66666668653488159
// CHECK: "top.Reciprocal"(%{{.*}}) {const_val = 1.500000e+00
// CHECK: "top.MaxConst"(%{{.*}}) {const_val = 1.500000e+00
// CHECK: "top.MinConst"(%{{.*}}) {const_val = 1.500000e+00
// CHECK: "top.LeakyRelu"(%{{.*}}) {alpha = 1.500000e+00
// x / c is x * (1 / c).
// CHECK: %[[QUOTIENT:.*]] = "top.Mul"
// A sum with 0 and a product with 1 are gone.
// CHECK-NOT: top.AddConst
// CHECK-NOT: top.MulConst
// CHECK: %[[DIFFERENT:.*]] = "top.Add"(%[[QUOTIENT]], %{{.*}})
// Factors keep a sum from becoming one with a constant, and so does a constant that is larger than the tensor.
// CHECK: "top.Add"(%[[DIFFERENT]], %{{.*}}) {coeff = [1.000000e+00, 2.000000e+00]
// CHECK: "top.Add"(%{{.*}}, %{{.*}}) {{.*}}(tensor<1x2x1x1xf32>, tensor<1x2x4x4xf32>)
// An output keeps its op.
// CHECK: "top.MulConst"(%{{.*}}) {const_val = 1.000000e+00
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> (tensor<1x2x4x4xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %s = "top.Weight"() : () -> tensor<1xf32> loc("s")
    %same = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("same")
    %different = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("different")
    %zero = "top.Weight"() : () -> tensor<1xf32> loc("zero")
    %one = "top.Weight"() : () -> tensor<1xf32> loc("one")
    %wide = "top.Weight"() : () -> tensor<1x2x4x4xf32> loc("wide")
    %sum = "top.Add"(%in, %s) {do_relu = true, relu_limit = 6.0 : f64} : (tensor<1x2x4x4xf32>, tensor<1xf32>) -> tensor<1x2x4x4xf32> loc("sum")
    %sum2 = "top.Add"(%same, %sum) : (tensor<1x2x1x1xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("sum2")
    %difference = "top.Sub"(%sum2, %s) : (tensor<1x2x4x4xf32>, tensor<1xf32>) -> tensor<1x2x4x4xf32> loc("difference")
    %difference2 = "top.Sub"(%s, %difference) : (tensor<1xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("difference2")
    %product = "top.Mul"(%s, %difference2) : (tensor<1xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("product")
    %half = "top.Div"(%product, %s) : (tensor<1x2x4x4xf32>, tensor<1xf32>) -> tensor<1x2x4x4xf32> loc("half")
    %inverse = "top.Div"(%s, %half) : (tensor<1xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("inverse")
    %most = "top.Max"(%inverse, %s) : (tensor<1x2x4x4xf32>, tensor<1xf32>) -> tensor<1x2x4x4xf32> loc("most")
    %least = "top.Min"(%s, %most) : (tensor<1xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("least")
    %slope = "top.PRelu"(%least, %s) : (tensor<1x2x4x4xf32>, tensor<1xf32>) -> tensor<1x2x4x4xf32> loc("slope")
    %quotient = "top.Div"(%slope, %different) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("quotient")
    %nothing = "top.Add"(%quotient, %zero) : (tensor<1x2x4x4xf32>, tensor<1xf32>) -> tensor<1x2x4x4xf32> loc("nothing")
    %still = "top.Mul"(%one, %nothing) : (tensor<1xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("still")
    %vector = "top.Add"(%still, %different) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("vector")
    %factors = "top.Add"(%vector, %s) {coeff = [1.0, 2.0]} : (tensor<1x2x4x4xf32>, tensor<1xf32>) -> tensor<1x2x4x4xf32> loc("factors")
    %small = "top.MaxPool"(%factors) {kernel_shape = [4, 4], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x4x4xf32>) -> tensor<1x2x1x1xf32> loc("small")
    %widened = "top.Add"(%small, %wide) : (tensor<1x2x1x1xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("widened")
    %out = "top.MulConst"(%widened) {const_val = 1.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("out")
    return %out : tensor<1x2x4x4xf32>
  }
}
