// The ranges of the result types as a table; importing it again changes nothing.
// RUN: mkdir -p %t && cd %t && %tpuc-opt %s --import-calibration-table=file=%inputs/table --export-calibration-table=file=table -o calibrated.mlir
// RUN: FileCheck %s --input-file table
// RUN: %tpuc-opt %s --import-calibration-table=file=table -o again.mlir && diff calibrated.mlir again.mlir
// RUN: not %tpuc-opt %s --export-calibration-table=file=table 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not %tpuc-opt %s --export-calibration-table 2>&1 | FileCheck %s --check-prefix=NOFILE

// CHECK: # genetated time: 2023-11-14 22:13:20.000000
// CHECK: # op_name    threshold    min    max
// CHECK-NEXT: in 2.0000000 -2.0000000 2.0000000
// CHECK-NEXT: conv 4.0000000 0.0000000 4.0000000
// CHECK-NEXT: sum 6.3500000 -6.3500000 6.3500000
// NONE: error: export-calibration-table: no layer of the module has a threshold
// NOFILE: error: export-calibration-table: option file is missing: the calibration table to write
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %w = "top.Weight"() : () -> tensor<2x2x1x1xf32> loc("w")
    %b = "top.Weight"() : () -> tensor<2xf32> loc("b")
    %conv = "top.Conv"(%in, %w, %b) {kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], do_relu = true} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32> loc("conv")
    %sum = "top.Add"(%in, %conv) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("sum")
    return %sum : tensor<1x2x4x4xf32>
  }
}
