// The first channel of the normalization is a hundred times the others': its product's weights take that over. The normalization
// that an addition reads as well gets a Mul for the products.
// RUN: rm -rf %t && mkdir -p %t/ds && cd %t
// RUN: %npz make w.npz g:4=100,1,1,1 b:4=0,0,0,0 w:4x2=1,1,1,1,1,1,1,1 g2:2=1,1 b2:2=0,0 w2:2x2=1,2,3,4
// RUN: %npz make ds/a.npz in:1x3x4=1,2,3,4,4,3,2,1,1,3,2,5
// RUN: %tpuc-opt %s --top-smooth-quant="dataset=ds" -o %t/new.mlir
// RUN: FileCheck %s --input-file %t/new.mlir
// RUN: %npz show w_sq.npz g | FileCheck %s --check-prefix=GAMMA
// RUN: %npz show w_sq.npz | FileCheck %s --check-prefix=WEIGHTS
// The float network stays the same.
// RUN: model_runner --input ds/a.npz --model new.mlir --output new_out.npz && cp %s old.mlir && model_runner --input ds/a.npz --model old.mlir --output old_out.npz
// RUN: npz_tool compare new_out.npz old_out.npz --tolerance 0.9999,0.9999
// Twice is once.
// RUN: cp w_sq.npz first.npz && %tpuc-opt %s --top-smooth-quant="dataset=ds threads=1" -o %t/new.mlir && cmp w_sq.npz first.npz
// RUN: not %tpuc-opt %s --top-smooth-quant 2>&1 | FileCheck %s --check-prefix=SAMPLES
// RUN: not %tpuc-opt %s --top-smooth-quant="dataset=ds input-num=-2" 2>&1 | FileCheck %s --check-prefix=NUMBER

// CHECK: module.weight_file = "w_sq.npz"
// CHECK: %[[SECOND:.*]] = "top.LayerNorm"({{.*}}tensor<1x3x2xf32>
// CHECK: %[[MUL:.*]] = "top.Mul"(%[[SECOND]],
// CHECK: "top.MatMul"(%[[MUL]],
// CHECK: "top.Add"(%[[SECOND]],
// The first channel came down to the others.
// GAMMA: g <f4 4: [[G:[0-9.]+]], {{.*}}
// WEIGHTS-DAG: norm2_scaled_weight <f4 2:
// SAMPLES: error: top-smooth-quant: no samples: give a dataset or a data_list
// NUMBER: error: top-smooth-quant: option input-num: -2 is negative
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x3x4xf32>) -> tensor<1x3x2xf32> {
    %none = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x3x4xf32>) -> tensor<1x3x4xf32> loc("in")
    %g = "top.Weight"() : () -> tensor<4xf32> loc("g")
    %b = "top.Weight"() : () -> tensor<4xf32> loc("b")
    %w = "top.Weight"() : () -> tensor<4x2xf32> loc("w")
    %g2 = "top.Weight"() : () -> tensor<2xf32> loc("g2")
    %b2 = "top.Weight"() : () -> tensor<2xf32> loc("b2")
    %w2 = "top.Weight"() : () -> tensor<2x2xf32> loc("w2")
    %norm = "top.LayerNorm"(%in, %g, %b) {axis = 2 : si32, eps = 1.0e-5 : f64, normalized_shape = []} : (tensor<1x3x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x3x4xf32> loc("norm")
    %product = "top.MatMul"(%norm, %w, %none) : (tensor<1x3x4xf32>, tensor<4x2xf32>, none) -> tensor<1x3x2xf32> loc("product")
    %norm2 = "top.LayerNorm"(%product, %g2, %b2) {axis = 2 : si32, eps = 1.0e-5 : f64, normalized_shape = []} : (tensor<1x3x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x3x2xf32> loc("norm2")
    %product2 = "top.MatMul"(%norm2, %w2, %none) : (tensor<1x3x2xf32>, tensor<2x2xf32>, none) -> tensor<1x3x2xf32> loc("product2")
    %sum = "top.Add"(%norm2, %product2) : (tensor<1x3x2xf32>, tensor<1x3x2xf32>) -> tensor<1x3x2xf32> loc("sum")
    return %sum : tensor<1x3x2xf32>
  }
}
