#!/bin/sh
# Puts every documented command into a folder, with and without .py: links to the one binary.
# Usage: tools/link.sh BINARY FOLDER
set -eu

if [ $# -ne 2 ]; then
    echo "usage: tools/link.sh BINARY FOLDER" >&2
    exit 2
fi
binary=$(realpath "$1")
mkdir -p "$2"
ln -sf "$binary" "$2/tpuc"
# The binary knows its names.
"$binary" --list | while read -r name; do
    ln -sf "$binary" "$2/$name"
    ln -sf "$binary" "$2/$name.py"
done
