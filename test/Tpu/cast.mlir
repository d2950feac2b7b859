// Between floats and scales.
// RUN: %tpuc-opt %s | FileCheck %s
// RUN: %tpuc-opt %s --emit-bytecode | %tpuc-opt | FileCheck %s

// CHECK-LABEL: func.func @quantize
// CHECK: "tpu.Cast"(%{{.*}}) {round_mode = #tpu<round_mode HalfAwayFromZero>, with_scale = true} : (tensor<1x4x!quant.calibrated<f32<-2.000000e+00:2.000000e+00>>>) -> tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>
// CHECK: "tpu.Cast"(%{{.*}}) {round_mode = #tpu<round_mode HalfToEven>, with_scale = true} : (tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>) -> tensor<1x4xf32>
func.func @quantize(%x: tensor<1x4x!quant.calibrated<f32<-2.0:2.0>>>) -> tensor<1x4xf32> {
  %0 = "tpu.Cast"(%x) : (tensor<1x4x!quant.calibrated<f32<-2.0:2.0>>>) -> tensor<1x4x!quant.uniform<i8:f32, 0.5>>
  %1 = "tpu.Cast"(%0) {with_scale = true, round_mode = #tpu<round_mode HalfToEven>} : (tensor<1x4x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4xf32>
  return %1 : tensor<1x4xf32>
}

// CHECK-LABEL: func.func @floats
// CHECK: "tpu.Cast"(%{{.*}}) {round_mode = #tpu<round_mode HalfAwayFromZero>, with_scale = true} : (tensor<1x4xf32>) -> tensor<1x4xbf16>
// CHECK: "tpu.Cast"(%{{.*}}) {round_mode = #tpu<round_mode HalfAwayFromZero>, with_scale = true} : (tensor<1x4xbf16>) -> tensor<1x4xf16>
func.func @floats(%x: tensor<1x4xf32>) -> tensor<1x4xf16> {
  %0 = "tpu.Cast"(%x) : (tensor<1x4xf32>) -> tensor<1x4xbf16>
  %1 = "tpu.Cast"(%0) : (tensor<1x4xbf16>) -> tensor<1x4xf16>
  return %1 : tensor<1x4xf16>
}
