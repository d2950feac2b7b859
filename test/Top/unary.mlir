// Functions of one tensor: they keep the shape, and print with their defaults. The operations that they count, per element:
// 1 but for Cos, Cosh, Exp, HardSigmoid, Log, Mish, Sigmoid, Sin, Sinh, Tan, Tanh (4), Softplus, Softsign, Sign (3), Rsqrt (2),
// GELU, HardSwish, SiLU, Swish (5).
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s --shape-infer | FileCheck %s --check-prefix=COUNT

// COUNT: module.FLOPs = 22016 : i64
module @net attributes {module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
    %x = "top.Input"(%arg0) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Abs"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %abs = "top.Abs"(%x) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Ceil"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %ceil = "top.Ceil"(%abs) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Cos"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %cos = "top.Cos"(%ceil) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Cosh"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %cosh = "top.Cosh"(%cos) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Elu"(%{{.*}}) {alpha = 0.69999999999999996 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %elu = "top.Elu"(%cosh) {alpha = 0.7 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Erf"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %erf = "top.Erf"(%elu) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Exp"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %exp = "top.Exp"(%erf) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Floor"(%{{.*}}) {is_scalar = false} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %floor = "top.Floor"(%exp) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.GELU"(%{{.*}}) {approx_mode = "normal", round_mode = "HalfAwayFromZero"} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %gelu = "top.GELU"(%floor) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.HardSigmoid"(%{{.*}}) {alpha = 2.000000e-01 : f64, beta = 5.000000e-01 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %hardsigmoid = "top.HardSigmoid"(%gelu) {alpha = 0.2 : f64, beta = 0.5 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.HardSwish"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %hardswish = "top.HardSwish"(%hardsigmoid) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.LeakyRelu"(%{{.*}}) {alpha = 1.000000e-01 : f64, round_mode = "HalfAwayFromZero"} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %leakyrelu = "top.LeakyRelu"(%hardswish) {alpha = 0.1 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Log"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %log = "top.Log"(%leakyrelu) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Mish"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %mish = "top.Mish"(%log) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Pow"(%{{.*}}) {exponent = 1.500000e+00 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %pow = "top.Pow"(%mish) {exponent = 1.5 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Pow2"(%{{.*}}) {const_val = 1.500000e+00 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %pow2 = "top.Pow2"(%pow) {const_val = 1.5 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Reciprocal"(%{{.*}}) {const_val = 1.000000e+00 : f64, do_relu = false, relu_limit = -1.000000e+00 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %reciprocal = "top.Reciprocal"(%pow2) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Round"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %round = "top.Round"(%reciprocal) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Rsqrt"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %rsqrt = "top.Rsqrt"(%round) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.SiLU"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %silu = "top.SiLU"(%rsqrt) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Sigmoid"(%{{.*}}) {bias = 0.000000e+00 : f64, log = false, round_mode = "HalfAwayFromZero", scale = 1.000000e+00 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %sigmoid = "top.Sigmoid"(%silu) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Sign"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %sign = "top.Sign"(%sigmoid) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Sin"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %sin = "top.Sin"(%sign) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Sinh"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %sinh = "top.Sinh"(%sin) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Softplus"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %softplus = "top.Softplus"(%sinh) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Softsign"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %softsign = "top.Softsign"(%softplus) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Sqrt"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %sqrt = "top.Sqrt"(%softsign) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Swish"(%{{.*}}) {beta = 1.500000e+00 : f64, round_mode = "HalfAwayFromZero"} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %swish = "top.Swish"(%sqrt) {beta = 1.5 : f64} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Tan"(%{{.*}}) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %tan = "top.Tan"(%swish) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK: "top.Tanh"(%{{.*}}) {round_mode = "HalfAwayFromZero"} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %tanh = "top.Tanh"(%tan) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    return %tanh : tensor<1x4x8x8xf32>
  }
}
