#!/usr/bin/env bash
# Installs what building tpuc needs on Debian 12; instant when all is there. A Rust toolchain must be there already.
set -euo pipefail
packages="gcc g++ libc6-dev make cmake ninja-build pkg-config clang-22 llvm-22-dev libmlir-22-dev mlir-22-tools libpolly-22-dev libzstd-dev zlib1g-dev libdnnl-dev libturbojpeg0-dev python3 python3-venv python3-pip ca-certificates"

command -v cargo >/dev/null || { echo "setup: needs a Rust toolchain (cargo, 1.95 or newer); https://rustup.rs says how to get it" >&2; exit 1; }
missing=""
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
echo "setup: installing$missing"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: needs root or sudo to install$missing" >&2; exit 1; }
  as_root=sudo
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "setup: done"
