"""Applies PostProcess of a user's file to networks' outputs, until its standard input ends.

process.rs says what goes through its standard streams.
"""
import os
import struct
import sys
import traceback

incoming = os.fdopen(os.dup(0), "rb")
outgoing = os.fdopen(os.dup(1), "wb")
# What the user's file prints is for people.
os.dup2(2, 1)
sys.stdin = open(os.devnull)


def take(count):
    data = incoming.read(count)
    if len(data) < count:
        sys.exit(0)
    return data


def number(form):
    return struct.unpack(form, take(struct.calcsize(form)))[0]


def fail(text):
    data = text.encode("utf-8", "replace")
    outgoing.write(b"\1" + struct.pack("<I", len(data)) + data)
    outgoing.flush()


def receive(np):
    outputs = {}
    for _ in range(number("<I")):
        name = take(number("<I")).decode("utf-8")
        shape = [number("<Q") for _ in range(number("<I"))]
        count = int(np.prod(shape)) if shape else 1
        outputs[name] = np.frombuffer(take(4 * count), dtype="<f4").reshape(shape).copy()
    return outputs


def named(result):
    if result is None:
        raise ValueError("PostProcess returned nothing; expected a dictionary of arrays")
    if isinstance(result, dict):
        return [(str(name), value) for name, value in result.items()]
    if isinstance(result, (list, tuple)):
        return [(str(index), value) for index, value in enumerate(result)]
    return [("0", result)]


def send(np, result):
    arrays = [(name, np.ascontiguousarray(value, dtype="<f4")) for name, value in named(result)]
    message = [b"\0", struct.pack("<I", len(arrays))]
    for name, array in arrays:
        data = name.encode("utf-8")
        message += [struct.pack("<I", len(data)), data, struct.pack("<I", array.ndim)]
        message += [struct.pack("<Q", size) for size in array.shape] + [array.tobytes()]
    outgoing.write(b"".join(message))
    outgoing.flush()


def main():
    try:
        import numpy as np
    except ImportError:
        fail("this python3 has no numpy, in whose arrays PostProcess gets the outputs: install it (pip install numpy, or Debian's python3-numpy)")
        return
    try:
        import importlib.util

        path = sys.argv[1]
        sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
        spec = importlib.util.spec_from_file_location("post_process", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        process = module.PostProcess
    except BaseException:
        fail(traceback.format_exc())
        return
    outgoing.write(b"\0")
    outgoing.flush()
    while True:
        outputs = receive(np)
        try:
            send(np, process(outputs))
        except BaseException:
            fail(traceback.format_exc())


main()
