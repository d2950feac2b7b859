#!/usr/bin/env bash
# Runs fuzz targets. usage: fuzz/run.sh SECONDS [TARGET...]    (all targets where none is named)
#
# Needs cargo-fuzz (`cargo install cargo-fuzz`) and a nightly toolchain. What libFuzzer finds interesting is kept in
# fuzz/corpus, inputs that crash in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
[ $# -gt 0 ] || set -- onnx npz npy table bmodel picture mlir
failed=0
for target in "$@"; do
  # The C++ half of the MLIR target has no sanitizer, so its Rust half must not have one either.
  options=()
  [ "$target" != mlir ] || options=(-s none --features mlir)
  mkdir -p "fuzz/corpus/$target"
  echo "== $target"
  cargo +nightly fuzz run -O ${options[@]+"${options[@]}"} "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    "-max_total_time=$seconds" -rss_limit_mb=2048 -malloc_limit_mb=1536 -timeout=20 -max_len=65536 -print_final_stats=1 || failed=1
done
exit $failed
