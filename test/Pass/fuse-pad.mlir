// Zero padding of height and width is the convolution's, that with minus infinity the maximum's; other padding stays.
// RUN: mkdir -p %t && cd %t && %npz make w.npz w:2x2x3x3=1
// RUN: %tpuc-opt %s --top-fuse-pad | FileCheck %s

// CHECK-NOT: top.Pad
// CHECK: "top.Conv"({{.*}}pads = [1, 1, 1, 1]{{.*}}(tensor<1x2x4x4xf32>, tensor<2x2x3x3xf32>, none) -> tensor<1x2x4x4xf32>
// CHECK: "top.Pad"({{.*}}mode = "reflect"
// CHECK: "top.Conv"({{.*}}pads = [0, 0, 0, 0]
// CHECK: "top.Pad"({{.*}}val = 1.000000e+00
// CHECK: "top.Conv"({{.*}}pads = [0, 0, 0, 0]
// CHECK-NOT: top.Pad
// CHECK: "top.MaxPool"(%[[C:.*]]) {{.*}}pads = [1, 1, 0, 0]{{.*}}(tensor<1x2x4x4xf32>) -> tensor<1x2x2x2xf32>
// A window that sees only padding has a maximum of minus infinity, which has to stay.
// CHECK: "top.Pad"({{.*}}paddings = [0, 0, 2, 0, 0, 0, 0, 0]
// CHECK: "top.MaxPool"({{.*}}pads = [0, 0, 0, 0]
// CHECK: "top.Pad"({{.*}}val = 0.000000e+00
// CHECK: "top.MaxPool"({{.*}}pads = [0, 0, 0, 0]
module @net attributes {module.chip = "ALL", module.platform = "ONNX", module.state = "TOP_F32", module.weight_file = "w.npz"} {
  func.func @main(%arg0: tensor<1x2x4x4xf32>) -> tensor<1x2x1x1xf32> {
    %none = "top.None"() : () -> none
    %in = "top.Input"(%arg0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> loc("in")
    %w = "top.Weight"() : () -> tensor<2x2x3x3xf32> loc("w")
    %p0 = "top.Pad"(%in) {paddings = [0, 0, 1, 1, 0, 0, 1, 1]} : (tensor<1x2x4x4xf32>) -> tensor<1x2x6x6xf32> loc("p0")
    %c0 = "top.Conv"(%p0, %w, %none) {kernel_shape = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x6x6xf32>, tensor<2x2x3x3xf32>, none) -> tensor<1x2x4x4xf32> loc("c0")
    %p1 = "top.Pad"(%c0) {paddings = [0, 0, 1, 1, 0, 0, 1, 1], mode = "reflect"} : (tensor<1x2x4x4xf32>) -> tensor<1x2x6x6xf32> loc("p1")
    %c1 = "top.Conv"(%p1, %w, %none) {kernel_shape = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x6x6xf32>, tensor<2x2x3x3xf32>, none) -> tensor<1x2x4x4xf32> loc("c1")
    %p2 = "top.Pad"(%c1) {paddings = [0, 0, 1, 1, 0, 0, 1, 1], val = 1.0 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x6x6xf32> loc("p2")
    %c2 = "top.Conv"(%p2, %w, %none) {kernel_shape = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x6x6xf32>, tensor<2x2x3x3xf32>, none) -> tensor<1x2x4x4xf32> loc("c2")
    %p3 = "top.Pad"(%c2) {paddings = [0, 0, 1, 1, 0, 0, 0, 0], val = 0xFFF0000000000000 : f64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x5x5xf32> loc("p3")
    %m3 = "top.MaxPool"(%p3) {kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 0]} : (tensor<1x2x5x5xf32>) -> tensor<1x2x2x2xf32> loc("m3")
    %p4 = "top.Pad"(%m3) {paddings = [0, 0, 2, 0, 0, 0, 0, 0], val = 0xFFF0000000000000 : f64} : (tensor<1x2x2x2xf32>) -> tensor<1x2x4x2xf32> loc("p4")
    %m4 = "top.MaxPool"(%p4) {kernel_shape = [2, 2], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x4x2xf32>) -> tensor<1x2x3x1xf32> loc("m4")
    %p5 = "top.Pad"(%m4) {paddings = [0, 0, 0, 1, 0, 0, 0, 1]} : (tensor<1x2x3x1xf32>) -> tensor<1x2x3x3xf32> loc("p5")
    %m5 = "top.MaxPool"(%p5) {kernel_shape = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0]} : (tensor<1x2x3x3xf32>) -> tensor<1x2x1x1xf32> loc("m5")
    return %m5 : tensor<1x2x1x1xf32>
  }
}
