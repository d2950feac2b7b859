// Chip and mode become attributes of the module; what cannot be done is refused.
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1684x mode=INT8' | FileCheck %s
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1684x mode=INT8 high_precision=true addr_mode=basic' | FileCheck %s --check-prefix=PRECISE
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm9999 mode=INT8' 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684x mode=INT7' 2>&1 | FileCheck %s --check-prefix=MODE
// RUN: not %tpuc-opt %s '--processor-assign=mode=INT8' 2>&1 | FileCheck %s --check-prefix=NOCHIP
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684x' 2>&1 | FileCheck %s --check-prefix=NOMODE
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684x mode=INT8 num_core=8' 2>&1 | FileCheck %s --check-prefix=CORES
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684x mode=INT8 num_core=many' 2>&1 | FileCheck %s --check-prefix=NUMBER
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684x mode=INT8 addr_mode=io_alone' 2>&1 | FileCheck %s --check-prefix=ADDRESS
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684x mode=INT8 speed=9' 2>&1 | FileCheck %s --check-prefix=OPTION
// RUN: sed s/TOP_F32/TPU_LOWERED/ %s | not %tpuc-opt '--processor-assign=chip=bm1684x mode=INT8' 2>&1 | FileCheck %s --check-prefix=LOWERED
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1688 mode=BF16' | FileCheck %s --check-prefix=BM1688
// RUN: %tpuc-opt %s '--processor-assign=chip=cv180x mode=BF16' | FileCheck %s --check-prefix=CV180X
// RUN: not %tpuc-opt %s '--processor-assign=chip=bm1684 mode=F16' 2>&1 | FileCheck %s --check-prefix=BM1684
// RUN: not %tpuc-opt %s '--processor-assign=chip=cv183x mode=F32' 2>&1 | FileCheck %s --check-prefix=CV183X

// CHECK: module.chip = "bm1684x"
// CHECK-SAME: module.mode = "INT8"
// PRECISE: module.high_precision = true
// CHIP: error: processor-assign: unknown chip 'bm9999'; did you mean 'bm1690'?; known chips: bm1684x, bm1688, cv186x, bm1690, bm1684, cv183x, cv182x, cv181x, cv180x
// MODE: error: processor-assign: unknown mode 'INT7', expected one of INT8, F16, BF16, F32, W8F16, W8BF16, W4F16, W4BF16
// NOCHIP: error: processor-assign: unknown chip ''; known chips: bm1684x
// NOMODE: error: processor-assign: unknown mode '', expected one of INT8, F16, BF16, F32, W8F16, W8BF16, W4F16, W4BF16
// CORES: error: processor-assign: networks run on one device and one core, asked for 1 and 8
// NUMBER: error: processor-assign: option num_core: 'many' is not a valid value
// ADDRESS: error: processor-assign: addr_mode 'io_alone' is not supported on bm1684x; use auto or basic
// BM1688: module.addr_mode = "io_tag"
// BM1688-SAME: module.chip = "bm1688"
// CV180X: module.addr_mode = "basic"
// CV180X-SAME: module.chip = "cv180x"
// BM1684: error: processor-assign: bm1684 has no mode F16; it has INT8, F32
// CV183X: error: processor-assign: cv183x has no mode F32; it has INT8, BF16
// OPTION: no such option speed
// LOWERED: error: processor-assign: the module is not in the state TOP_F32
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %r = "top.Relu"(%in) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("r")
    return %r : tensor<1x2x4x4xf32>
  }
}
