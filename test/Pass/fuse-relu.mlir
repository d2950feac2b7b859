// Relu and Clip(0, limit) go into the op before them, which takes their name.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w:2x2x1x1=1
// RUN: %tpuc-opt %s --top-fuse-relu | FileCheck %s

// CHECK: "top.Conv"({{.*}}do_relu = true{{.*}}relu_limit = 6.000000e+00{{.*}}loc(#[[CLIP:.*]])
// The sum is read twice: its Relu stays.
// CHECK: "top.Add"({{.*}}do_relu = false{{.*}}loc(#[[SHARED:.*]])
// CHECK: "top.Relu"
// A clip that does not start at zero is no Relu.
// CHECK: "top.Clip"
// CHECK: "top.Add"
// CHECK-DAG: #[[CLIP]] = loc("clip")
// CHECK-DAG: #[[SHARED]] = loc("shared")
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
    %none = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %w = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("w")
    %conv = "top.Conv"(%in, %w, %none) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32> loc("conv")
    %relu = "top.Relu"(%conv) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("relu")
    %clip = "top.Clip"(%relu) {min = 0.0 : f64, max = 6.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("clip")
    %shared = "top.Add"(%clip, %in) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("shared")
    %alone = "top.Relu"(%shared) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("alone")
    %band = "top.Clip"(%shared) {min = -1.0 : f64, max = 6.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("band")
    %out = "top.Add"(%alone, %band) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("out")
    return %out : tensor<1x2x4x4xf32>
  }
}
