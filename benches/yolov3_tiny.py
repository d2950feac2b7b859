#!/usr/bin/env python3
"""Makes an ONNX file of YOLOv3-tiny with random weights: the published architecture on pictures of 416 x 416, for measuring.

Needs nothing but Python. Weights are uniform with the variance that keeps activations of a leaky ReLU as they are (He et al.,
"Delving Deep into Rectifiers"), from a fixed seed: every file is the same.

usage: yolov3_tiny.py OUT.onnx [SIZE]
"""

import array
import random
import sys

SLOPE = 0.1
# Channels of the backbone's 3x3 convolutions; a maximum pooling of 2 goes behind each but the last, the sixth one's has a stride of 1.
BACKBONE = [16, 32, 64, 128, 256, 512, 1024]
ANCHORS_TIMES_VALUES = 255


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def integers(name, values):
    """An attribute: a list of integers."""
    return block(5, block(1, name) + b"".join(number(8, v) for v in values) + number(20, 7))


def text(name, value):
    return block(5, block(1, name) + block(4, value) + number(20, 3))


def real(name, value):
    return block(5, block(1, name) + varint(2 << 3 | 5) + array.array("f", [value]).tobytes() + number(20, 1))


class Network:
    """Nodes and weights in the order in which they run."""

    def __init__(self):
        self.nodes, self.weights, self.random = [], [], random.Random(416)

    def tensor(self, name, shape, values):
        self.weights.append(block(5, b"".join(number(1, d) for d in shape) + number(2, 1) + block(8, name) + block(9, values.tobytes())))
        return name

    def node(self, op, inputs, output, *attributes):
        self.nodes.append(block(1, b"".join(block(1, i) for i in inputs) + block(2, output) + block(3, output) + block(4, op) + b"".join(attributes)))
        return output

    def conv(self, x, channels_in, channels, kernel, name, leaky=True):
        fan_in = channels_in * kernel * kernel
        bound = (6 / ((1 + SLOPE**2) * fan_in)) ** 0.5
        draw = self.random.random
        weights = array.array("f", [(2 * draw() - 1) * bound for _ in range(channels * fan_in)])
        w = self.tensor(f"{name}_w", [channels, channels_in, kernel, kernel], weights)
        b = self.tensor(f"{name}_b", [channels], array.array("f", [0.2 * draw() - 0.1 for _ in range(channels)]))
        y = self.node("Conv", [x, w, b], name, integers("kernel_shape", [kernel] * 2), integers("pads", [kernel // 2] * 4), integers("strides", [1, 1]))
        return self.node("LeakyRelu", [y], f"{name}_leaky", real("alpha", SLOPE)) if leaky else y

    def pool(self, x, stride, name):
        pads = [0, 0, 2 - stride, 2 - stride]
        return self.node("MaxPool", [x], name, integers("kernel_shape", [2, 2]), integers("strides", [stride] * 2), integers("pads", pads))

    def model(self, inputs, outputs):
        def info(field, name, shape):
            dims = b"".join(block(1, number(1, d)) for d in shape)
            return block(field, block(1, name) + block(2, block(1, number(1, 1) + block(2, dims))))

        graph = b"".join(self.nodes) + block(2, "yolov3_tiny") + b"".join(self.weights)
        graph += b"".join(info(11, *i) for i in inputs) + b"".join(info(12, *o) for o in outputs)
        return number(1, 8) + block(7, graph) + block(8, block(1, "") + number(2, 13))


def yolov3_tiny(size):
    net, x, channels = Network(), "input", 3
    for index, wider in enumerate(BACKBONE):
        x = net.conv(x, channels, wider, 3, f"conv{index}")
        if index == 4:
            early = x
        if index < len(BACKBONE) - 1:
            x = net.pool(x, 1 if index == 5 else 2, f"pool{index}")
        channels = wider
    neck = net.conv(x, channels, 256, 1, "neck")
    coarse = net.conv(net.conv(neck, 256, 512, 3, "coarse_conv"), 512, ANCHORS_TIMES_VALUES, 1, "coarse", leaky=False)
    narrow = net.conv(neck, 256, 128, 1, "narrow")
    scales = net.tensor("scales", [4], array.array("f", [1, 1, 2, 2]))
    larger = net.node("Resize", [narrow, "", scales], "upsample", text("mode", "nearest"), text("nearest_mode", "floor"),
                      text("coordinate_transformation_mode", "asymmetric"))
    joined = net.node("Concat", [larger, early], "joined", block(5, block(1, "axis") + number(3, 1) + number(20, 2)))
    fine = net.conv(net.conv(joined, 128 + 256, 256, 3, "fine_conv"), 256, ANCHORS_TIMES_VALUES, 1, "fine", leaky=False)
    return net.model([("input", [1, 3, size, size])],
                     [(coarse, [1, ANCHORS_TIMES_VALUES, size // 32, size // 32]), (fine, [1, ANCHORS_TIMES_VALUES, size // 16, size // 16])])


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.strip().splitlines()[-1])
    size = int(sys.argv[2]) if len(sys.argv) == 3 else 416
    if size < 32 or size % 32:
        sys.exit(f"size {size} should be a multiple of 32")
    with open(sys.argv[1], "wb") as out:
        out.write(yolov3_tiny(size))


if __name__ == "__main__":
    main()
