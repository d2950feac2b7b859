# lit's view of test/: `lit test`, `lit test/Pass/fuse-relu.mlir`. The tools come from TPUC_BIN_DIR (default: build/bin).
# FileCheck and not are taken from LLVM's folder (LLVM_TOOLS_DIR, or beside lit, or where Debian has them).
import os
import shutil
import subprocess
import sys

import lit.formats

root = os.path.dirname(os.path.abspath(__file__))

config.name = "tpuc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.test_source_root = root
config.test_exec_root = os.path.join(root, "build", "lit")
config.excludes = ["Inputs", "build", "target", "src", "dialects", "passes", "tools", "docs", "demo", "benches"]


def llvm_folder():
    folders = [os.environ.get("LLVM_TOOLS_DIR"), os.path.dirname(os.path.realpath(sys.argv[0])), "/usr/lib/llvm-22/bin"]
    for folder in folders:
        if folder and os.path.exists(os.path.join(folder, "FileCheck")):
            return folder
    found = shutil.which("FileCheck")
    if not found:
        lit_config.fatal("FileCheck not found: set LLVM_TOOLS_DIR to the folder that has it")
    return os.path.dirname(found)


tools = os.path.abspath(os.environ.get("TPUC_BIN_DIR", os.path.join(root, "build", "bin")))
if not os.path.exists(os.path.join(tools, "tpuc-opt")):
    lit_config.fatal("tpuc-opt not found in %s: build it, or set TPUC_BIN_DIR" % tools)

config.environment["PATH"] = os.pathsep.join([tools, llvm_folder(), os.environ.get("PATH", "")])
# Files say when they were written; tests want them to say the same every time.
config.environment["SOURCE_DATE_EPOCH"] = "1700000000"
config.substitutions.append(("%tpuc-opt", os.path.join(tools, "tpuc-opt")))
# Writes and reads weight files: %npz make w.npz name:2x3=1,2,3 ; %npz show w.npz
config.substitutions.append(("%npz", "%s %s" % (sys.executable, os.path.join(root, "test", "Inputs", "npz.py"))))
# Writes small networks: %onnx net.onnx x:1x4 Relu:x:y
config.substitutions.append(("%onnx", "%s %s" % (sys.executable, os.path.join(root, "test", "Inputs", "onnx.py"))))
config.substitutions.append(("%{python}", sys.executable))
config.substitutions.append(("%inputs", os.path.join(root, "test", "Inputs")))

config.substitutions.append(("%include", os.path.join(root, "include")))
# What users bring for their own post-processes.
if shutil.which("cc"):
    config.available_features.add("cc")
if subprocess.run(["python3", "-c", "import numpy"], stderr=subprocess.DEVNULL).returncode == 0:
    config.available_features.add("numpy")

# Reference data, where the checkout has it beside it.
shared = os.path.join(os.path.dirname(root), "shared")
if os.path.isdir(shared):
    config.available_features.add("shared")
    config.substitutions.append(("%shared", shared))
