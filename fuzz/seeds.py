#!/usr/bin/env python3
"""Makes the seeds of the fuzz targets: one small valid file of each kind (and the tables and networks that our commands write).

usage: seeds.py COMMANDS OUT     COMMANDS: the folder of the built commands; needs onnx and numpy
"""

import io
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def network():
    """Every kind of layer of a small CNN."""
    rng = np.random.default_rng(7)
    weights = {
        "w": rng.normal(size=(8, 3, 3, 3)), "b": rng.normal(size=8), "g": np.ones(8), "v": np.full(8, 0.5),
        "d": rng.normal(size=(8, 1, 3, 3)), "f": rng.normal(size=(4, 8)), "fb": rng.normal(size=4),
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "g", "b", "b", "v"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("Conv", ["r", "d"], ["dw"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8),
        node("Add", ["dw", "r"], ["a"]),
        node("MaxPool", ["a"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", ["m"], ["p"]),
        node("Flatten", ["p"], ["flat"]),
        node("Gemm", ["flat", "f", "fb"], ["z"], transB=1),
        node("Softmax", ["z"], ["y"], axis=1),
    ]
    initializers = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "seed", [value("x", TensorProto.FLOAT, [1, 3, 8, 8])], [value("y", TensorProto.FLOAT, [1, 4])], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


def png(pixels):
    """[H, W, 3] bytes as a PNG file."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bmp(pixels):
    """[H, W, 3] bytes as a BMP file of 24 bits."""
    height, width, _ = pixels.shape
    rows = b"".join(row.tobytes().ljust((width * 3 + 3) // 4 * 4, b"\0") for row in pixels)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(rows), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + info + rows


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: seeds.py COMMANDS OUT")
    commands, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])

    def save(target, name, data):
        (out / target).mkdir(parents=True, exist_ok=True)
        (out / target / name).write_bytes(data)

    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (9, 7, 3), np.uint8)
    save("picture", "rgb.png", png(pixels))
    save("picture", "rgb.bmp", bmp(pixels))
    for dtype in ("f4", "f2", "i1", "u1", "i4", "i8", "f8"):
        array = rng.integers(0, 100, (2, 3)).astype(dtype)
        npy, npz = io.BytesIO(), io.BytesIO()
        np.save(npy, np.asfortranarray(array) if dtype == "f8" else array)
        (np.savez_compressed if dtype == "i4" else np.savez)(npz, a=array, b=array[0])
        save("npy", f"{dtype}.npy", npy.getvalue())
        save("npz", f"{dtype}.npz", npz.getvalue())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        onnx.save(network(), folder / "seed.onnx")
        np.savez(folder / "x.npz", x=rng.normal(size=(1, 3, 8, 8)).astype(np.float32))
        run = lambda name, *rest: subprocess.run([commands / name, *rest], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        run("model_transform", "--model_name", "seed", "--model_def", "seed.onnx", "--mlir", "seed.mlir")
        (folder / "data").mkdir()
        (folder / "x.npz").rename(folder / "data" / "x.npz")
        run("run_calibration", "seed.mlir", "--dataset", "data", "--input_num", "1", "-o", "table")
        run("model_deploy", "--mlir", "seed.mlir", "--quantize", "INT8", "--chip", "bm1684x", "--calibration_table", "table", "--model", "seed.bmodel", "--debug")
        (folder / "rgb.png").write_bytes(png(pixels))
        run("classify", "--model", "seed.onnx", "--input", "rgb.png", "--mean", "0,0,0", "--scale", "1,1,1", "--output", "seed.jpg")
        save("picture", "rgb.jpg", (folder / "seed.jpg").read_bytes())
        save("onnx", "seed.onnx", (folder / "seed.onnx").read_bytes())
        save("table", "seed", (folder / "table").read_bytes())
        save("bmodel", "seed.bmodel", (folder / "seed.bmodel").read_bytes())
        for path in folder.glob("*.mlir"):
            save("mlir", path.name, path.read_bytes())


if __name__ == "__main__":
    main()
