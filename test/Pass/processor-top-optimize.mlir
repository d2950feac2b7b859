// The chip has no per-channel Scale: it becomes a depthwise convolution.
// RUN: mkdir -p %t && cd %t && %npz make w.npz s:1x2x1x1=2,3 o:1x2x1x1=5,6 s2:1x2=4,5 o2:1x2=6,7
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1684x mode=INT8' --processor-top-optimize -o out.mlir
// RUN: FileCheck %s --input-file out.mlir
// RUN: %npz show out_weight.npz | FileCheck %s --check-prefix=WEIGHTS

// CHECK-NOT: top.Scale
// Of two dimensions it stands between reshapes.
// CHECK: %[[TALL:.*]] = "top.Reshape"{{.*}}(tensor<4x2xf32>) -> tensor<4x2x1x1xf32>
// CHECK: %[[SCALED:.*]] = "top.Conv"(%[[TALL]],{{.*}}(tensor<4x2x1x1xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>)
// CHECK: "top.Reshape"(%[[SCALED]]){{.*}}(tensor<4x2x1x1xf32>) -> tensor<4x2xf32> loc(#[[FLAT:.*]])
// CHECK: "top.Conv"({{.*}}do_relu = true{{.*}}group = 2 : i64, kernel_shape = [1, 1]{{.*}}(tensor<1x2x4x4xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>)
// CHECK: #[[FLAT]] = loc("flat")
// WEIGHTS-DAG: <f4 2x1x1x1: 2, 3
// WEIGHTS-DAG: <f4 2: 5, 6
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>, %arg1: tensor<4x2xf32>) -> (tensor<1x2x4x4xf32>, tensor<4x2xf32>) {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %s = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("s")
    %o = "top.Weight"() : () -> tensor<1x2x1x1xf32> loc("o")
    %rows = "top.Input"(%arg1) : (tensor<4x2xf32>) -> tensor<4x2xf32> loc("rows")
    %s2 = "top.Weight"() : () -> tensor<1x2xf32> loc("s2")
    %o2 = "top.Weight"() : () -> tensor<1x2xf32> loc("o2")
    %flat = "top.Scale"(%rows, %s2, %o2) : (tensor<4x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<4x2xf32> loc("flat")
    %scale = "top.Scale"(%in, %s, %o) {do_relu = true} : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32> loc("scale")
    return %scale, %flat : tensor<1x2x4x4xf32>, tensor<4x2xf32>
  }
}
