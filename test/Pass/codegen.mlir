// The lowered network as a bmodel; the same network gives the same bytes.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w:2x2x1x1=1,-0.53,0.26,1.97 b:2=0.5,-0.25
// RUN: %tpuc-opt %s --import-calibration-table=file=%inputs/table '--processor-assign=chip=bm1684x mode=INT8' --processor-top-optimize --convert-top-to-tpu=weightFileName=tpu.npz --codegen=model_file=a.bmodel -o tpu.mlir
// RUN: %tpuc-opt tpu.mlir --codegen=model_file=b.bmodel -o /dev/null
// RUN: cmp a.bmodel b.bmodel
// RUN: %{python} -c "import sys; sys.exit(open('a.bmodel','rb').read(4) != bytes([0xee, 0xaa, 0x55, 0xff]))"
// RUN: not %tpuc-opt tpu.mlir --codegen 2>&1 | FileCheck %s --check-prefix=NOFILE
// RUN: not %tpuc-opt %s --codegen=model_file=c.bmodel 2>&1 | FileCheck %s --check-prefix=TOP
// RUN: not ls c.bmodel


// NOFILE: error: codegen: option model_file is missing: the bmodel to write
// TOP: error: codegen: no code generation yet for: top.Conv (layer 'conv': no kernel), top.Add (layer 'sum': no kernel)
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
