// The chip has no per-channel Scale: it becomes a depthwise convolution.
// RUN: mkdir -p %t && cd %t && %npz make w.npz s:1x2x1x1=2,3 o:1x2x1x1=5,6
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1684x mode=INT8' --processor-top-optimize -o out.mlir
// RUN: FileCheck %s --input-file out.mlir
// RUN: %npz show out_weight.npz | FileCheck %s --check-prefix=WEIGHTS

// CHECK-NOT: top.Scale
// CHECK: "top.Conv"({{.*}}do_relu = true{{.*}}group = 2 : i64, kernel_shape = [1, 1]{{.*}}(tensor<1x2x4x4xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>)
// WEIGHTS-DAG: <f4 2x1x1x1: 2, 3
// WEIGHTS-DAG: <f4 2: 5, 6
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %s = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("s")
    %o = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("o")
    %scale = "top.Scale"(%in, %s, %o) {do_relu = true} : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("scale")
    return %scale : tensor<1x2x4x4xf32>
  }
}
