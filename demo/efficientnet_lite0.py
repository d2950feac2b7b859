#!/usr/bin/env python3
"""Makes an ONNX file of EfficientNet-Lite0 from its published weights.

The weights come as a PyTorch state dict in the format that PyTorch wrote before 1.6: a row of pickles, then the raw
storages. It is read here without PyTorch. The graph is the published architecture (mobile inverted bottlenecks without
squeeze-and-excitation, ReLU6, padding as TensorFlow's SAME), batch norms left as they are: folding them is the compiler's
work.

usage: efficientnet_lite0.py WEIGHTS.pth OUT.onnx
"""

import collections
import pickle
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STORAGE_TYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}
MAGIC = 0x1950A86A20F9469CFC6C

# repeats, kernel, stride, expansion, input channels, output channels
BLOCKS = [
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
]
EPSILON = 1e-3


class Storage:
    """A flat array that is filled after all pickles have been read."""

    def __init__(self, dtype, count):
        self.array = np.zeros(count, dtype)


class StateDictUnpickler(pickle.Unpickler):
    """Reads the pickles of a state dict; only the names that one needs are known."""

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        if module == "torch" and name in STORAGE_TYPES:
            return name
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, stride, *_: (storage, offset, shape, stride)
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        raise pickle.UnpicklingError(f"unexpected {module}.{name} in a state dict")

    def persistent_load(self, key):
        _, kind, name, _, count, _ = key
        return self.storages.setdefault(name, Storage(STORAGE_TYPES[kind], count))


def read_state_dict(path):
    with open(path, "rb") as file:
        if pickle.load(file) != MAGIC:
            sys.exit(f"{path}: not a state dict in PyTorch's old format")
        pickle.load(file)  # protocol version
        pickle.load(file)  # sizes of C types
        unpickler = StateDictUnpickler(file)
        tensors = unpickler.load()
        for name in pickle.load(file):
            array = unpickler.storages[name].array
            count = int.from_bytes(file.read(8), "little")
            array[:] = np.frombuffer(file.read(count * array.itemsize), array.dtype)
    views = {}
    for name, (storage, offset, shape, stride) in tensors.items():
        byte_stride = [s * storage.array.itemsize for s in stride]
        views[name] = np.lib.stride_tricks.as_strided(storage.array[offset:], shape, byte_stride).copy()
    return views


class Graph:
    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.initializers = []
        self.constants = {}

    def initializer(self, name):
        if name not in self.constants:
            self.constants[name] = True
            self.initializers.append(numpy_helper.from_array(self.weights[name].astype(np.float32), name))
        return name

    def scalar(self, name, value):
        if name not in self.constants:
            self.constants[name] = True
            self.initializers.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def conv(self, x, size, prefix, conv, norm, stride=1, group=1, relu6=True):
        """Convolution, batch norm, ReLU6. Returns the result and its height."""
        kernel = self.weights[f"{conv}.weight"].shape[2]
        out = -(-size // stride)
        total = max((out - 1) * stride + kernel - size, 0)
        pads = [total // 2] * 2 + [total - total // 2] * 2
        x = self.node("Conv", [x, self.initializer(f"{conv}.weight")], f"{prefix}_conv",
                      kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads, group=group, dilations=[1, 1])
        norms = [self.initializer(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        x = self.node("BatchNormalization", [x] + norms, f"{prefix}_norm", epsilon=EPSILON)
        if relu6:
            x = self.node("Clip", [x, self.scalar("zero", 0.0), self.scalar("six", 6.0)], f"{prefix}_relu6")
        return x, out


def build(weights):
    graph = Graph(weights)
    x, size = graph.conv("input", 224, "stem", "_conv_stem", "_bn0", stride=2)
    index = 0
    for repeats, kernel, stride, expansion, channels_in, channels_out in BLOCKS:
        for repeat in range(repeats):
            channels = channels_in if repeat == 0 else channels_out
            step = stride if repeat == 0 else 1
            source, name = f"_blocks.{index}", f"block{index}"
            y = x
            if expansion != 1:
                y, size = graph.conv(y, size, f"{name}_expand", f"{source}._expand_conv", f"{source}._bn0")
            y, size = graph.conv(y, size, f"{name}_depthwise", f"{source}._depthwise_conv", f"{source}._bn1",
                                 stride=step, group=channels * expansion)
            y, size = graph.conv(y, size, f"{name}_project", f"{source}._project_conv", f"{source}._bn2", relu6=False)
            if step == 1 and channels == channels_out:
                y = graph.node("Add", [y, x], f"{name}_add")
            x = y
            index += 1
    x, _ = graph.conv(x, size, "head", "_conv_head", "_bn1")
    x = graph.node("GlobalAveragePool", [x], "pool")
    x = graph.node("Flatten", [x], "flat", axis=1)
    graph.node("Gemm", [x, graph.initializer("_fc.weight"), graph.initializer("_fc.bias")], "logits", transB=1)
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 224, 224])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1000])]
    made = helper.make_graph(graph.nodes, "efficientnet_lite0", inputs, outputs, graph.initializers)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip().splitlines()[-1])
    onnx.save(build(read_state_dict(sys.argv[1])), sys.argv[2])


if __name__ == "__main__":
    main()
