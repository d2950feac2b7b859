#!/usr/bin/env bash
# Puts the commands under every documented name, with and without `.py`, into build/bin.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p build/bin
cp -f "$target/release/tpuc" build/bin/tpuc
names="model_transform run_calibration run_qtable run_sensitive_layer fp_forward model_deploy model_runner mlir2onnx npz_tool model_tool
detect_yolov3 classify classify_mobilenet_v2 tpu_perf.precision_benchmark tpuc-opt"
for name in $names; do
  ln -sf tpuc "build/bin/$name"
  ln -sf tpuc "build/bin/$name.py"
done
