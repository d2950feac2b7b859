// The layers around given ones get the chip's float mode.
// RUN: %tpuc-opt %s '--fp-forward=outputs=b chip=bm1684x' | FileCheck %s
// RUN: %tpuc-opt %s '--fp-forward=blocks=a:a chip=bm1684x fp-type=F32' | FileCheck %s --check-prefix=BLOCK
// RUN: not %tpuc-opt %s '--fp-forward=outputs=c chip=bm1684x' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not %tpuc-opt %s '--fp-forward=outputs=b' 2>&1 | FileCheck %s --check-prefix=CHIP
// CHECK: "top.Relu"
// CHECK-NOT: quantize_mode
// CHECK: "top.Relu"{{.*}}quantize_mode = "F16"
// BLOCK: "top.Relu"{{.*}}quantize_mode = "F32"
// BLOCK: "top.Relu"
// BLOCK-NOT: quantize_mode
// UNKNOWN: error: fp-forward: layer 'c' is not in the network
// CHIP: error: fp-forward: option chip is missing
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x4xf32>) -> tensor<1x4xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x4xf32>) -> tensor<1x4xf32> loc("in")
    %a = "top.Relu"(%in) : (tensor<1x4xf32>) -> tensor<1x4xf32> loc("a")
    %b = "top.Relu"(%a) : (tensor<1x4xf32>) -> tensor<1x4xf32> loc("b")
    return %b : tensor<1x4xf32>
  }
}
