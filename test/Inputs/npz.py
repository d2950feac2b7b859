#!/usr/bin/env python3
"""Small weight files for tests, without NumPy.

  npz.py make FILE name:2x3=1,2,3 ...   f32 arrays; values repeat until the shape is full
  npz.py show FILE [name ...]           one line an array: name dtype shape: values
"""
import ast
import struct
import sys
import zipfile

CODES = {"<f4": "f", "<f8": "d", "|i1": "b", "|u1": "B", "<i2": "h", "<u2": "H", "<i4": "i", "<u4": "I", "<i8": "q"}


def array(text):
    name, rest = text.rsplit(":", 1)
    shape_text, values = rest.split("=")
    shape = tuple(int(d) for d in shape_text.split("x"))
    values = [float(v) for v in values.split(",")]
    count = 1
    for size in shape:
        count *= size
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s,), }" % ", ".join(map(str, shape))
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    data = struct.pack("<%df" % count, *[values[i % len(values)] for i in range(count)])
    return name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def make(path, specs):
    with zipfile.ZipFile(path, "w") as archive:
        for spec in specs:
            name, data = array(spec)
            archive.writestr(name + ".npy", data)


def show(path, names):
    with zipfile.ZipFile(path) as archive:
        for entry in sorted(archive.namelist()):
            name = entry[: -len(".npy")]
            if names and name not in names:
                continue
            data = archive.read(entry)
            length = struct.unpack("<H", data[8:10])[0]
            header = ast.literal_eval(data[10 : 10 + length].decode())
            code = CODES[header["descr"]]
            body = data[10 + length :]
            values = struct.unpack("<%d%s" % (len(body) // struct.calcsize(code), code), body)
            shape = "x".join(map(str, header["shape"]))
            print("%s %s %s: %s" % (name, header["descr"], shape, ", ".join("%.7g" % v for v in values)))


if __name__ == "__main__":
    {"make": make, "show": show}[sys.argv[1]](sys.argv[2], sys.argv[3:])
