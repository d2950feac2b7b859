#!/usr/bin/env python3
"""Small ONNX files for tests, without the onnx package.

  onnx.py FILE INPUT:1x3x8x8 OP:IN[,IN]:OUT[,OUT][:attr=1,2...] ... [NAME:2x3=1,2 ...]

An argument with "=" behind its shape is an initializer (values repeat), one with two colons a node; the last node's output is the output,
unless an argument OUT,OUT names the outputs.
"""
import struct
import sys


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def dims(text):
    return [int(d) for d in text.split("x")]


def value_info(name, shape):
    shape = b"".join(block(1, number(1, d)) for d in shape)
    return block(1, name) + block(2, block(1, number(1, 1) + block(2, shape)))


def initializer(text):
    name, rest = text.split(":")
    shape, values = rest.split("=")
    shape, values = dims(shape), [float(v) for v in values.split(",")]
    count = 1
    for d in shape:
        count *= d
    data = struct.pack("<%df" % count, *[values[i % len(values)] for i in range(count)])
    return b"".join(number(1, d) for d in shape) + number(2, 1) + block(8, name) + block(9, data)


def node(op, inputs, output, attributes):
    out = b"".join(block(1, i) for i in inputs.split(",")) + b"".join(block(2, o) for o in output.split(",")) + block(3, output) + block(4, op)
    for attribute in attributes:
        name, values = attribute.split("=")
        out += block(5, block(1, name) + b"".join(number(8, int(v)) for v in values.split(",")) + number(20, 7))
    return out


def main(path, arguments):
    graph, outputs, last = block(2, "g"), [], None
    for argument in arguments:
        parts = argument.split(":")
        if len(parts) == 1:
            outputs = parts[0].split(",")
        elif len(parts) == 2 and "=" in parts[1]:
            graph += block(5, initializer(argument))
        elif len(parts) == 2:
            graph += block(11, value_info(parts[0], dims(parts[1])))
        else:
            graph += block(1, node(parts[0], parts[1], parts[2], parts[3:]))
            last = parts[2]
    for output in outputs or [last]:
        graph += block(12, block(1, output) + block(2, block(1, number(1, 1))))
    with open(path, "wb") as file:
        file.write(number(1, 8) + block(7, graph) + block(8, number(2, 13)))


main(sys.argv[1], sys.argv[2:])
