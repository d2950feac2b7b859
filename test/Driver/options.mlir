// What the driver offers beside the passes.
// RUN: mkdir -p %t && cd %t && %npz make options.npz unused:1=0
// RUN: %tpuc-opt %s --pass-pipeline="builtin.module(top-fuse-relu,shape-infer)" | FileCheck %s --check-prefix=PIPELINE
// RUN: %tpuc-opt %s --top-fuse-relu --shape-infer --mlir-print-ir-after-all -o /dev/null 2>&1 | FileCheck %s --check-prefix=PRINT
// RUN: %tpuc-opt %s --shape-infer --mlir-timing -o /dev/null 2>&1 | FileCheck %s --check-prefix=TIMING
// RUN: %tpuc-opt %s --dump-pass-pipeline "--processor-assign=chip=bm1684x mode=INT8" -o /dev/null 2>&1 | FileCheck %s --check-prefix=DUMP
// RUN: %tpuc-opt %s | FileCheck %s --check-prefix=NAMES
// RUN: %tpuc-opt %s --mlir-print-debuginfo=false | FileCheck %s --check-prefix=NAMELESS
// RUN: %tpuc-opt --show-dialects | FileCheck %s --check-prefix=DIALECTS
// RUN: not %tpuc-opt %s --pass-pipeline="builtin.module(top-fuse-everything)" 2>&1 | FileCheck %s --check-prefix=PASS
// RUN: not %tpuc-opt %s --pass-pipeline="builtin.module(codegen{file=a})" 2>&1 | FileCheck %s --check-prefix=OPTION
// RUN: not %tpuc-opt %s --fly 2>&1 | FileCheck %s --check-prefix=FLAG
// RUN: not %tpuc-opt no-such.mlir 2>&1 | FileCheck %s --check-prefix=FILE

// PIPELINE: module.FLOPs = 64
// PIPELINE: "top.Add"({{.*}}do_relu = true
// PRINT: IR Dump After top-fuse-relu
// PRINT: do_relu = true
// PRINT: IR Dump After shape-infer
// PRINT: module.FLOPs = 64
// TIMING: Execution time report
// TIMING: shape-infer
// DUMP: processor-assign{{{.*}}chip=bm1684x{{.*}}mode=INT8
// NAMES: "top.Relu"({{.*}} loc(#[[NAME:.*]])
// NAMES: #[[NAME]] = loc("relu")
// NAMELESS-NOT: loc
// DIALECTS: top
// DIALECTS: tpu
// PASS: 'top-fuse-everything' does not refer to a registered pass
// OPTION: no such option file
// FLAG: Unknown command line argument '--fly'
// FILE: no-such.mlir{{.*}}No such file
module @net attributes {module.state = "TOP_F32", module.weight_file = "options.npz"} {
  func.func @main(%arg0: tensor<1x32xf32>) -> tensor<1x32xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x32xf32>) -> tensor<1x32xf32> loc("in")
    %sum = "top.Add"(%in, %in) : (tensor<1x32xf32>, tensor<1x32xf32>) -> tensor<1x32xf32> loc("sum")
    %relu = "top.Relu"(%sum) : (tensor<1x32xf32>) -> tensor<1x32xf32> loc("relu")
    return %relu : tensor<1x32xf32>
  }
}
