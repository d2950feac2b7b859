// An attention of two heads becomes one op for BM1684X, which lowers to an op a head; for BM1688 it stays as it is.
// RUN: mkdir -p %t && cd %t && %npz make w.npz wq:2x4=1,0,0,1,0,1,1,0 wk:2x4=1,1,0,0,0,0,1,1 wv:2x4=1,0,0,0,0,1,0,0 bq:1x1x4=1,2,3,4 wo:4x2=1,0,0,1,1,0,0,1
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1684x mode=F16' --processor-top-optimize -o top.mlir && FileCheck %s --input-file top.mlir
// RUN: %tpuc-opt top.mlir --convert-top-to-tpu=weightFileName=tpu.npz | FileCheck %s --check-prefix=TPU
// RUN: %npz show tpu.npz | FileCheck %s --check-prefix=WEIGHTS
// RUN: %tpuc-opt %s '--processor-assign=chip=bm1688 mode=F16' --processor-top-optimize | FileCheck %s --check-prefix=KEPT

// CHECK-NOT: top.MatMul
// CHECK: %[[A:.*]] = "top.Attention"(%[[X:.*]], %[[X]], %[[X]], {{.*}}head = 2 : i64, quantize_mode = "BF16", scale = 5.000000e-01 : f64{{.*}} -> tensor<1x3x2xf32> loc(#[[OUT:.*]])
// CHECK-NOT: top.Softmax
// CHECK: return %[[A]]
// CHECK: #[[OUT]] = loc("out")

// A mode of the last product is the attention's.
// TPU: "tpu.Attention"({{.*}}dim = 2 : i64, has_bias = 1 : i64, head = 1 : i64{{.*}}tensor<2x2xbf16>, tensor<1x1x2xbf16>{{.*}} -> tensor<1x3x2xbf16>
// TPU: "tpu.Attention"({{.*}}dim = 2 : i64, has_bias = 1 : i64
// TPU: "tpu.Add"
// WEIGHTS-DAG: wo_weight_head_1_bf16
// WEIGHTS-DAG: wq_weight_head_0_bf16
// WEIGHTS-DAG: bq_bias_head_1_bf16

// KEPT-NOT: top.Attention
// KEPT: top.Softmax
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x3x2xf32>) -> tensor<1x3x2xf32> {
    %n = "top.None"() : () -> none
    %x = "top.Input"(%arg0) : (tensor<1x3x2xf32>) -> tensor<1x3x2xf32> loc("x")
    %wq = "top.Weight"() : () -> tensor<2x4xf32> loc("wq")
    %bq = "top.Weight"() : () -> tensor<1x1x4xf32> loc("bq")
    %wk = "top.Weight"() : () -> tensor<2x4xf32> loc("wk")
    %wv = "top.Weight"() : () -> tensor<2x4xf32> loc("wv")
    %wo = "top.Weight"() : () -> tensor<4x2xf32> loc("wo")
    %q = "top.MatMul"(%x, %wq, %bq) : (tensor<1x3x2xf32>, tensor<2x4xf32>, tensor<1x1x4xf32>) -> tensor<1x3x4xf32> loc("q")
    %q1 = "top.Reshape"(%q) {shape = [1, 3, 2, 2]} : (tensor<1x3x4xf32>) -> tensor<1x3x2x2xf32> loc("q1")
    %q2 = "top.Permute"(%q1) {order = [0, 2, 1, 3]} : (tensor<1x3x2x2xf32>) -> tensor<1x2x3x2xf32> loc("q2")
    %k = "top.MatMul"(%x, %wk, %n) : (tensor<1x3x2xf32>, tensor<2x4xf32>, none) -> tensor<1x3x4xf32> loc("k")
    %k1 = "top.Reshape"(%k) {shape = [1, 3, 2, 2]} : (tensor<1x3x4xf32>) -> tensor<1x3x2x2xf32> loc("k1")
    %k2 = "top.Permute"(%k1) {order = [0, 2, 3, 1]} : (tensor<1x3x2x2xf32>) -> tensor<1x2x2x3xf32> loc("k2")
    %v = "top.MatMul"(%x, %wv, %n) : (tensor<1x3x2xf32>, tensor<2x4xf32>, none) -> tensor<1x3x4xf32> loc("v")
    %v1 = "top.Reshape"(%v) {shape = [1, 3, 2, 2]} : (tensor<1x3x4xf32>) -> tensor<1x3x2x2xf32> loc("v1")
    %v2 = "top.Permute"(%v1) {order = [0, 2, 1, 3]} : (tensor<1x3x2x2xf32>) -> tensor<1x2x3x2xf32> loc("v2")
    %s = "top.MatMul"(%q2, %k2, %n) : (tensor<1x2x3x2xf32>, tensor<1x2x2x3xf32>, none) -> tensor<1x2x3x3xf32> loc("s")
    %c = "top.MulConst"(%s) {const_val = 0.5 : f64} : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32> loc("c")
    %p = "top.Softmax"(%c) {axis = 3 : si32} : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32> loc("p")
    %o = "top.MatMul"(%p, %v2, %n) : (tensor<1x2x3x3xf32>, tensor<1x2x3x2xf32>, none) -> tensor<1x2x3x2xf32> loc("o")
    %o1 = "top.Permute"(%o) {order = [0, 2, 1, 3]} : (tensor<1x2x3x2xf32>) -> tensor<1x3x2x2xf32> loc("o1")
    %o2 = "top.Reshape"(%o1) {shape = [1, 3, 4]} : (tensor<1x3x2x2xf32>) -> tensor<1x3x4xf32> loc("o2")
    %out = "top.MatMul"(%o2, %wo, %n) {quantize_mode = "BF16"} : (tensor<1x3x4xf32>, tensor<4x2xf32>, none) -> tensor<1x3x2xf32> loc("out")
    return %out : tensor<1x3x2xf32>
  }
}
