#!/usr/bin/env python3
"""Makes ../data/* and the *.txt beside this file: what OpenCV 4.8.0 decodes and resizes, as CRC-32 of the bytes.

usage: make.py data            write the small test pictures (needs Pillow >= 9 and OpenCV)
       make.py golden [PHOTOS] write files.txt and resize.txt, and photos.txt of a folder of photographs
       make.py preprocess      write preprocess.txt (needs the reference's Python package on PYTHONPATH)
"""
import os, struct, sys, zlib
import cv2
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data")


def pattern(n):
    """Bytes that look random: the same formula as `pattern` in ../opencv.rs."""
    h = np.arange(n, dtype=np.uint32) * np.uint32(2654435761)
    h ^= h >> np.uint32(15)
    h *= np.uint32(2246822519)
    return (h >> np.uint32(24)).astype(np.uint8)


def crc(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes()) & 0xFFFFFFFF


def smooth(w, h, c):
    small = pattern(7 * 9 * c).reshape(7, 9, c)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC).reshape(h, w, c)


def put(name, data):
    with open(os.path.join(DATA, name), "wb") as f:
        f.write(data)


def png(name, w, h, depth, color, rows, extra=()):
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    raw = b"".join(b"\0" + row for row in rows)
    put(name, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, 0))
        + b"".join(chunk(k, b) for k, b in extra) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def tiff(orientation):
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)


def bmp(name, w, h, bits, body, palette=b"", masks=None):
    compression = 3 if masks else 0
    tail = struct.pack("<III", *masks) if masks else b""
    offset = 54 + len(tail) + len(palette)
    head = struct.pack("<IiiHHIIiiII", 40, w, h, 1, bits, compression, len(body), 2835, 2835, len(palette) // 4, 0)
    put(name, b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + head + tail + palette + body)


def make_data():
    os.makedirs(DATA, exist_ok=True)
    from PIL import Image
    w, h = 37, 29
    color, gray = smooth(w, h, 3), smooth(w, h, 1)
    factors = {"444": 0x111111, "422": 0x211111, "420": 0x221111, "440": 0x121111, "411": 0x411111}
    for name, factor in factors.items():
        cv2.imwrite(os.path.join(DATA, f"s{name}.jpg"), color, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor, cv2.IMWRITE_JPEG_QUALITY, 90])
    cv2.imwrite(os.path.join(DATA, "progressive.jpg"), color, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    cv2.imwrite(os.path.join(DATA, "restart.jpg"), color, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])
    cv2.imwrite(os.path.join(DATA, "gray.jpg"), gray)
    Image.fromarray(smooth(w, h, 4), "CMYK").save(os.path.join(DATA, "cmyk.jpg"), quality=90)
    data = open(os.path.join(DATA, "cmyk.jpg"), "rb").read()
    at = data.index(b"Adobe") + 11
    put("ycck.jpg", data[:at] + b"\x02" + data[at + 1:])
    data = open(os.path.join(DATA, "s444.jpg"), "rb").read()
    # An Adobe marker with transform 0 says that the three channels are red, green, blue.
    put("rgb.jpg", data[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0" + data[20:])
    data = open(os.path.join(DATA, "s420.jpg"), "rb").read()
    put("truncated.jpg", data[:len(data) * 3 // 4])
    at = data.index(b"\xff\xda")
    put("extraneous.jpg", data[:at] + b"\x00\x12\x34" + data[at:])
    for o in range(1, 9):
        body = b"Exif\0\0" + tiff(o)
        put(f"exif{o}.jpg", data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:])
    # XMP in front hides the EXIF block from OpenCV's reader or not: the golden file says.
    xmp, body = b"http://ns.adobe.com/xap/1.0/\0<x/>", b"Exif\0\0" + tiff(6)
    segment = lambda b: b"\xff\xe1" + struct.pack(">H", len(b) + 2) + b
    put("xmp_exif.jpg", data[:2] + segment(xmp) + segment(body) + data[2:])

    rgb = np.ascontiguousarray(color[..., ::-1])
    rgba = smooth(w, h, 4)
    wide = lambda a: (a.astype(np.uint16) * 251 + pattern(a.size).reshape(a.shape)).astype(">u2")
    rows = lambda a: [r.tobytes() for r in a]
    png("rgb8.png", w, h, 8, 2, rows(rgb))
    png("rgb8_gama.png", w, h, 8, 2, rows(rgb), [(b"gAMA", struct.pack(">I", 45455))])
    png("rgb8_gama1.png", w, h, 8, 2, rows(rgb), [(b"gAMA", struct.pack(">I", 100000))])
    png("rgb8_srgb.png", w, h, 8, 2, rows(rgb), [(b"sRGB", b"\0")])
    png("rgb8_trns.png", w, h, 8, 2, rows(rgb), [(b"tRNS", struct.pack(">HHH", *map(int, rgb[3, 4])))])
    png("rgb8_exif6.png", w, h, 8, 2, rows(rgb), [(b"eXIf", tiff(6))])
    png("rgb16.png", w, h, 16, 2, rows(wide(rgb)))
    png("rgb16_srgb.png", w, h, 16, 2, rows(wide(rgb)), [(b"sRGB", b"\0")])
    png("rgba8.png", w, h, 8, 6, rows(rgba))
    png("rgba16.png", w, h, 16, 6, rows(wide(rgba)))
    png("gray8.png", w, h, 8, 0, rows(gray))
    png("gray16.png", w, h, 16, 0, rows(wide(gray)))
    png("la8.png", w, h, 8, 4, rows(rgba[..., :2]))
    png("la16.png", w, h, 16, 4, rows(wide(rgba[..., :2])))
    palette = [bytes(p) for p in rgb[::2, ::2].reshape(-1, 3)]
    for depth in (1, 2, 4, 8):
        index = gray[..., 0] >> (8 - depth)
        bits = np.unpackbits(np.ascontiguousarray(index[..., None]), axis=2)[..., 8 - depth:].reshape(h, -1)
        packed = rows(np.packbits(bits, axis=1))
        plte = b"".join(palette[i % len(palette)] for i in range(1 << depth))
        if depth < 8:
            png(f"gray{depth}.png", w, h, depth, 0, packed)
        png(f"palette{depth}.png", w, h, depth, 3, packed, [(b"PLTE", plte)])
        if depth == 8:
            png("palette8_trns.png", w, h, depth, 3, packed, [(b"PLTE", plte), (b"tRNS", bytes(range(0, 200, 3)))])

    pad = lambda row: row + b"\0" * (-len(row) % 4)
    body = lambda a: b"".join(pad(r.tobytes()) for r in a[::-1])
    bmp("rgb24.bmp", w, h, 24, body(color))
    bmp("rgb24_topdown.bmp", w, -h, 24, b"".join(pad(r.tobytes()) for r in color))
    bmp("rgb32.bmp", w, h, 32, body(smooth(w, h, 4)))
    c16 = color.astype(np.uint16)
    bmp("rgb555.bmp", w, h, 16, body((c16[..., 2] >> 3 << 10 | c16[..., 1] >> 3 << 5 | c16[..., 0] >> 3).astype("<u2")))
    bmp("rgb565.bmp", w, h, 16, body((c16[..., 2] >> 3 << 11 | c16[..., 1] >> 2 << 5 | c16[..., 0] >> 3).astype("<u2")), masks=(0xF800, 0x7E0, 0x1F))
    for depth in (1, 4, 8):
        index = gray[..., 0] >> (8 - depth)
        bits = np.unpackbits(np.ascontiguousarray(index[..., None]), axis=2)[..., 8 - depth:].reshape(h, -1)
        plte = b"".join(palette[i % len(palette)] + b"\0" for i in range(1 << depth))
        bmp(f"palette{depth}.bmp", w, h, depth, body(np.packbits(bits, axis=1)), plte)


def decoded(path):
    for mode, flag in (("bgr", cv2.IMREAD_COLOR), ("gray", cv2.IMREAD_GRAYSCALE)):
        image = cv2.imread(path, flag)
        yield (mode, "none") if image is None else (mode, f"{image.shape[1]} {image.shape[0]} {crc(image):08x}")


def make_golden(photos):
    with open(os.path.join(HERE, "files.txt"), "w") as f:
        for name in sorted(os.listdir(DATA)):
            for mode, text in decoded(os.path.join(DATA, name)):
                f.write(f"{name} {mode} {text}\n")
    sides = [1, 2, 3, 5, 8, 13, 16, 31, 32, 64, 101]
    rng = np.random.RandomState(11)
    cases = [(3, w, h, 8, 16) for w in sides for h in (1, 7, 32)] + [(1, 31, 17, w, h) for w in sides for h in (1, 8, 34)]
    cases += [(c, 2 * w, 2 * h, w, h) for c in (1, 3, 4) for w, h in ((1, 1), (5, 3), (32, 32), (33, 7))]
    cases += [(3, 4 * w, 4 * h, w, h) for w, h in ((5, 3), (8, 8))] + [(3, 64, 32, 32, 32), (3, 32, 64, 32, 32), (3, 40, 30, 40, 30)]
    cases += [(int(rng.choice([1, 3, 4])), *map(int, rng.randint(1, 90, 4))) for _ in range(200)]
    cases += [(3, 500, 375, 256, 256), (3, 375, 500, 224, 299), (3, 64, 48, 416, 312), (1, 300, 200, 28, 28)]
    with open(os.path.join(HERE, "resize.txt"), "w") as f:
        for c, w, h, ow, oh in cases:
            image = pattern(w * h * c).reshape(h, w, c)
            f.write(f"{c} {w} {h} {ow} {oh} {crc(cv2.resize(image, (ow, oh))):08x}\n")
    if photos:
        with open(os.path.join(HERE, "photos.txt"), "w") as f:
            for folder, _, names in sorted(os.walk(photos)):
                for name in sorted(n for n in names if n.endswith((".jpg", ".png"))):
                    path = os.path.join(folder, name)
                    small = crc(cv2.resize(cv2.imread(path), (256, 256)))
                    modes = " ".join(text for _, text in decoded(path))
                    f.write(f"{os.path.relpath(path, photos)} {modes} {small:08x}\n")


def make_preprocess():
    import contextlib, io, logging
    logging.disable(logging.CRITICAL)
    from utils.preprocess import preprocess
    rng = np.random.RandomState(17)
    lines = []
    while len(lines) < 120:
        name = str(rng.choice(["s420.jpg", "exif6.jpg", "rgb8.png", "rgba8.png", "gray8.png"]))
        net = [int(v) for v in rng.randint(6, 80, 2)]
        resize = [v + int(rng.choice([0, 0, 1, 7])) for v in net]
        form = str(rng.choice(["rgb", "bgr", "gray", "rgba"]))
        channels = {"gray": 1, "rgba": 4}.get(form, 3)
        keep = bool(rng.randint(2)) and form != "rgba"
        mode, pad = str(rng.choice(["letterbox", "short_side_scale"])), str(rng.choice(["center", "normal"]))
        layout = str(rng.choice(["nchw", "nchw", "nhwc"])) if form != "gray" else "nchw"
        value = int(rng.randint(256))
        mean, scale = "123.675,116.28,103.53,1.5", "0.0171,0.0175,0.0174,0.00392"
        cut = lambda s: ",".join(s.split(",")[:channels])
        shape = [1, channels, *net] if layout == "nchw" else [1, *net, channels]
        p = preprocess()
        with contextlib.redirect_stdout(io.StringIO()):
            p.config(input_shapes=[shape], resize_dims=",".join(map(str, resize)), keep_aspect_ratio=keep, keep_ratio_mode=mode, pad_type=pad,
                     pad_value=value, mean=cut(mean), scale=cut(scale), pixel_format=form, channel_format=layout)
            out = p.run(os.path.join(DATA, name))
        assert list(out.shape) == shape, (out.shape, shape)
        lines.append(f"{name} {net[0]} {net[1]} {resize[0]} {resize[1]} {keep} {mode} {pad} {value} {form} {layout} {crc(out):08x}".lower())
    with open(os.path.join(HERE, "preprocess.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "data":
        make_data()
    elif what == "golden":
        make_golden(sys.argv[2] if len(sys.argv) > 2 else None)
    elif what == "preprocess":
        make_preprocess()
    else:
        sys.exit(__doc__)
