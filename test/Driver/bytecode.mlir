// Bytecode is tried in a process of its own: what MLIR's reader does not survive is an error in one line.
// RUN: mkdir -p %t && cd %t
// RUN: %tpuc-opt %s --emit-bytecode -o net.mlirbc && %tpuc-opt net.mlirbc | FileCheck %s
// RUN: %{python} -c "d = open('net.mlirbc', 'rb').read(); open('cut.mlirbc', 'wb').write(d[:len(d) // 2])"
// RUN: not %tpuc-opt cut.mlirbc 2>&1 | FileCheck %s --check-prefix=CUT
// RUN: not %tpuc-opt - < cut.mlirbc 2>&1 | FileCheck %s --check-prefix=STDIN
// RUN: touch x.npz && cp cut.mlirbc cut.mlir && not model_runner --model cut.mlir --input x.npz 2>&1 | FileCheck %s --check-prefix=RUNNER
// CHECK: "top.Input"
// CUT: tpuc-opt: error: cut.mlirbc:
// STDIN: tpuc-opt: error: <stdin>:
// RUNNER: model_runner: error: cut.mlir:
module @net attributes {module.state = "TOP_F32", module.weight_file = "none.npz"} {
  func.func @main(%arg0: tensor<1x4xf32>) -> tensor<1x4xf32> {
    %in = "top.Input"(%arg0) : (tensor<1x4xf32>) -> tensor<1x4xf32> loc("x")
    return %in : tensor<1x4xf32>
  }
}
