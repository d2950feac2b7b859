// The casts at the borders of a lowered network are left to the caller.
// RUN: %tpuc-opt %s --strip-io-quant='quant_input=true quant_output=true' | FileCheck %s
// RUN: %tpuc-opt %s --strip-io-quant=quant_output_list=1 | FileCheck %s --check-prefix=OUTPUT
// RUN: not %tpuc-opt %s --strip-io-quant=quant_output_list=2 2>&1 | FileCheck %s --check-prefix=POSITION
// RUN: sed 's/TPU_LOWERED/TOP_F32/' %s > %t.mlir && not %tpuc-opt %t.mlir --strip-io-quant 2>&1 | FileCheck %s --check-prefix=STATE
// CHECK: func.func @main({{.*}}tensor<1x4xf32>{{.*}}) -> tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>
// CHECK: "top.Input"{{.*}} -> tensor<1x4x!quant.uniform<i8:f32, 5.000000e-01>>
// CHECK-NOT: tpu.Cast
// OUTPUT: "tpu.Cast"
// OUTPUT: "tpu.Relu"
// OUTPUT-NOT: tpu.Cast
// POSITION: error: strip-io-quant: output 2 is asked for, the network has 1
// STATE: error: strip-io-quant: the module is not in the state TPU_LOWERED: run convert-top-to-tpu before
module @net attributes {module.chip = "bm1684x", module.mode = "INT8", module.platform = "ONNX", module.state = "TPU_LOWERED", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x4xf32>) -> tensor<1x4xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x4xf32>) -> tensor<1x4x!quant.calibrated<f32<-63.5:63.5>>> loc("in")
    %q = "tpu.Cast"(%in) : (tensor<1x4x!quant.calibrated<f32<-63.5:63.5>>>) -> tensor<1x4x!quant.uniform<i8:f32, 0.5>> loc("ina_si8")
    %a = "tpu.Relu"(%q) : (tensor<1x4x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4x!quant.uniform<i8:f32, 0.5>> loc("a")
    %f = "tpu.Cast"(%a) : (tensor<1x4x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4xf32> loc("a_f32")
    return %f : tensor<1x4xf32>
  }
}
