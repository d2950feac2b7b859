// Functions of one tensor, arithmetic of tensors and constants, comparison and choice.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

!s = !quant.uniform<i8:f32, 0.5>
!u = !quant.uniform<u8:f32, 0.25>

// CHECK-LABEL: func.func @unary
func.func @unary(%x: tensor<1x4x!s>, %y: tensor<1x4xf16>) -> tensor<1x4x!u> {
  %t = "top.Weight"() : () -> tensor<1x1x1x256xui8>
  // CHECK: "tpu.Lut"(%{{.*}}, %{{.*}}) : (tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>, tensor<1x1x1x256xui8>)
  %0 = "tpu.Lut"(%x, %t) : (tensor<1x4x!s>, tensor<1x1x1x256xui8>) -> tensor<1x4x!u>
  // CHECK: "tpu.Active"(%{{.*}}) {coeffs = [5.000000e-01, 2.000000e-01], mode = #tpu<active_mode HSIGMOID>}
  %1 = "tpu.Active"(%y) {mode = #tpu<active_mode HSIGMOID>, coeffs = [0.5, 0.2]} : (tensor<1x4xf16>) -> tensor<1x4xf16>
  // CHECK: "tpu.LeakyRelu"(%{{.*}}) {multiplier = 77 : si32, round_mode = #tpu<round_mode HalfAwayFromZero>, rshift = 8 : si32}
  %2 = "tpu.LeakyRelu"(%x) {multiplier = 77 : si32, rshift = 8 : si32} : (tensor<1x4x!s>) -> tensor<1x4x!s>
  // CHECK: "tpu.Clip"(%{{.*}}) {max = 9.000000e-01 : f64, min = -5.000000e-01 : f64}
  %3 = "tpu.Clip"(%y) {min = -0.5, max = 0.9} : (tensor<1x4xf16>) -> tensor<1x4xf16>
  // CHECK: "tpu.AddConst"(%{{.*}}) {const_val = 3.200000e+02 : f64, do_relu = false, f8_scale = 1.000000e+00 : f64, multiplier = 65 : si32, relu_limit = -1.000000e+00 : f64, rshift = 6 : si32}
  %4 = "tpu.AddConst"(%x) {const_val = 320.0, multiplier = 65 : si32, rshift = 6 : si32} : (tensor<1x4x!s>) -> tensor<1x4x!s>
  // CHECK: "tpu.MulShift"(%{{.*}}) {multiplier = -1 : si32, rshift = 0 : si32}
  %5 = "tpu.MulShift"(%x) {multiplier = -1 : si32, rshift = 0 : si32} : (tensor<1x4x!s>) -> tensor<1x4x!s>
  // CHECK: "tpu.CompareConst"(%{{.*}}) {const_val = 2.000000e+00 : f64, inversed = false, mode = "Greater"}
  %6 = "tpu.CompareConst"(%x) {mode = "Greater", const_val = 2.0, inversed = false} : (tensor<1x4x!s>) -> tensor<1x4x!u>
  return %0 : tensor<1x4x!u>
}

// CHECK-LABEL: func.func @binary
func.func @binary(%x: tensor<1x4x2x!s>, %y: tensor<4x1x!u>, %c: tensor<1x4x2x!u>) -> tensor<1x4x2x!s> {
  %none = "top.None"() : () -> none
  // CHECK: "tpu.Sub"(%{{.*}}, %{{.*}}) {do_relu = false, is_reverse = true, multipliers = [64, 32], relu_limit = -1.000000e+00 : f64, rshifts = [7, 7]}
  %0 = "tpu.Sub"(%x, %y) {is_reverse = true, multipliers = [64, 32], rshifts = [7, 7]} : (tensor<1x4x2x!s>, tensor<4x1x!u>) -> tensor<1x4x2x!s>
  // CHECK: "tpu.Mul"(%{{.*}}, %{{.*}}) {do_relu = false, multiplier = 83 : si32, quant_mode = #tpu<rq_mode MultiplierShift>, relu_limit = -1.000000e+00 : f64, rshift = 14 : si32}
  %1 = "tpu.Mul"(%x, %y) {multiplier = 83 : si32, rshift = 14 : si32} : (tensor<1x4x2x!s>, tensor<4x1x!u>) -> tensor<1x4x2x!s>
  // CHECK: "tpu.Max"(%{{.*}}, %{{.*}}) {do_relu = false, relu_limit = -1.000000e+00 : f64}
  %2 = "tpu.Max"(%x, %1) : (tensor<1x4x2x!s>, tensor<1x4x2x!s>) -> tensor<1x4x2x!s>
  // CHECK: "tpu.Where"(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {x_const_val = 0.000000e+00 : f64, x_is_const = false, y_const_val = -1.270000e+02 : f64, y_is_const = true}
  %3 = "tpu.Where"(%c, %x, %none, %none) {y_is_const = true, y_const_val = -127.0} : (tensor<1x4x2x!u>, tensor<1x4x2x!s>, none, none) -> tensor<1x4x2x!s>
  %slope = "top.Weight"() : () -> tensor<1x4x1xi8>
  // CHECK: "tpu.PReluOp"(%{{.*}}, %{{.*}}) {rshift = 7 : si32}
  %4 = "tpu.PReluOp"(%x, %slope) {rshift = 7 : si32} : (tensor<1x4x2x!s>, tensor<1x4x1xi8>) -> tensor<1x4x2x!s>
  return %3 : tensor<1x4x2x!s>
}
