#!/usr/bin/env python3
"""A PNG: png.py FILE WIDTH HEIGHT KIND, KIND being gray, gray16, rgb, rgba (one colour), claim (a header that promises far too much) or a number: coarse
noise of that seed."""
import random
import struct
import sys
import zlib

path, width, height, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
noise = random.Random(int(kind)) if kind.isdigit() else None
depth, colour, pixel = {"gray": (8, 0, b"\x80"), "gray16": (16, 0, b"\x80\x01"), "rgb": (8, 2, b"\x10\x80\xf0"), "rgba": (8, 6, b"\x10\x80\xf0\x40"), "claim": (8, 2, b"")}["rgb" if noise else kind]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


rows = (b"\0" + pixel * width) * (height if pixel else 1)
if noise:
    # Squares of 8 pixels, brightness growing to one side: something for convolutions to find.
    squares = [[noise.randbytes(3) for _ in range(width // 8 + 1)] for _ in range(height // 8 + 1)]
    rows = b"".join(b"\0" + b"".join(bytes(min(255, v // 2 + 120 * x // width) for v in squares[y // 8][x // 8]) for x in range(width)) for y in range(height))
with open(path, "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
