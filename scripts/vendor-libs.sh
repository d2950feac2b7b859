#!/usr/bin/env bash
# Fetches the vendor's runtime and simulator, which the conformance tests compare with. Never a part of the product.
#
# usage: vendor-libs.sh FOLDER     leaves FOLDER/bm1684x/{libbmrt.so,libbmlib.so.0,libcmodel.so,...}; instant when it is there
set -euo pipefail
folder=${1:?usage: vendor-libs.sh FOLDER}
version=1.30.2
[ -e "$folder/.complete-$version" ] && exit 0
mkdir -p "$folder/wheel" "$folder/bm1684x"
python3 -m pip --disable-pip-version-check -q download --no-deps --only-binary=:all: --python-version 3.10 \
  --platform manylinux2014_x86_64 --platform linux_x86_64 --platform any -d "$folder/wheel" "tpu-mlir==$version"
python3 - "$folder" <<'P'
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
# The wheel brings parts of another distribution's C library, which do not fit this one's loader.
foreign = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libz.so.1", "ld-linux-x86-64.so.2"}
wheel = next((folder / "wheel").glob("tpu_mlir-*.whl"))
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        base = pathlib.PurePosixPath(name).name
        if name.startswith("tpu_mlir/lib/") and ".so" in base and base not in foreign:
            target = folder / "bm1684x" / base
            target.write_bytes(archive.read(name))
            target.chmod(0o755)
P
cd "$folder/bm1684x"
ln -sf libcmodel_bm1684x.so libcmodel.so
ln -sf libbmlib_bm1684x.so.0 libbmlib.so.0
ln -sf libbmlib.so.0 libbmlib.so
rm -rf "../wheel"
touch "../.complete-$version"
