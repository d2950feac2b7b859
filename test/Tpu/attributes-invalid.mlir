// Enumerations that do not exist.
// RUN: %tpuc-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf16> {
  // expected-error@+2 {{failed to parse Tpu_RoundModeAttr parameter 'value'}}
  // expected-error@+1 {{expected ::tpuc::tpu::RoundMode to be one of: HalfAwayFromZero, HalfUp, HalfDown, HalfToEven, HalfToOdd, HalfTowardsZero, TowardsZero, Up, Down}}
  %0 = "tpu.Cast"(%x) {round_mode = #tpu<round_mode Nearest>} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf16>
  return %0 : tensor<1x4x8x8xf16>
}

// -----

func.func @f(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf16> {
  // expected-error@+1 {{unknown attribute `rounding` in dialect `tpu`}}
  %0 = "tpu.Cast"(%x) {round_mode = #tpu<rounding HalfUp>} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf16>
  return %0 : tensor<1x4x8x8xf16>
}
