// Ops with a result that is absent, and pools of one dimension.
// RUN: mkdir -p %t && cd %t && %npz make w.npz unused:1=0
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1684x mode=F16' --processor-top-optimize --convert-top-to-tpu=weightFileName=tpu.npz -o tpu.mlir
// RUN: FileCheck %s --input-file tpu.mlir
// RUN: %tpuc-opt tpu.mlir -o /dev/null

// Extrema are found among f32.
// CHECK-DAG: %[[WIDE:.*]] = "tpu.Cast"{{.*}} -> tensor<1x4x8xf32>
// CHECK-DAG: "tpu.Arg"(%[[WIDE]]) {{.*}}mode = "ArgMax"{{.*}} : (tensor<1x4x8xf32>) -> (tensor<1x1x8xf32>, none)
// CHECK-DAG: "tpu.Pool1D"{{.*}}kernel_shape = [2]{{.*}}pool_mode = #tpu<pool_mode Max>
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x4x16xf32>) -> (tensor<1x1x8xf32>, tensor<1x4x8xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x4x16xf32>) -> tensor<1x4x16xf32> loc("in")
    %pool = "top.MaxPool"(%in) {kernel_shape = [2], strides = [2], pads = [0, 0]} : (tensor<1x4x16xf32>) -> tensor<1x4x8xf32> loc("pool")
    %arg, %none = "top.Arg"(%pool) {axis = 1 : i64, keepdims = true, mode = "ArgMax"} : (tensor<1x4x8xf32>) -> (tensor<1x1x8xf32>, none) loc("arg")
    return %arg, %pool : tensor<1x1x8xf32>, tensor<1x4x8xf32>
  }
}
