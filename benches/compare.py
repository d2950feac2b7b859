#!/usr/bin/env python3
"""Side by side with the reference: each documented step on EfficientNet-Lite0, calibration also on YOLOv3-tiny with random
weights; the same files, the same processors.

The reference is a virtual environment with tpu-mlir 1.30.2, named by TPUC_REFERENCE; without it only our figures are
printed. The searches of mixed precision are measured beside version 1.15, which the documents describe: TPUC_REFERENCE_115 names
its virtual environment. Both sides take turns, the median counts. Memory is the largest resident set of the command's processes.

usage: compare.py [--runs N] [--cpus N] [--photos FOLDER] [--samples N] [--model NET.onnx] [--networks NAMES] [--parts NAMES] [--steps NAMES]
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "bench"
SHARED = ROOT.parent / "shared"
NAME = "efficientnet_lite0"
PREPROCESS = ["--resize_dims", "256,256", "--mean", "127,127,127", "--scale", "0.0078125,0.0078125,0.0078125", "--pixel_format", "rgb"]
# What the issue asks of each step: how many times faster.
GOALS = {"model_transform": 20, "run_calibration": 8, "calibration mse": 15, "calibration max": 8, "search_threshold": 15, "model_deploy": 4,
         "bmodel inference": 5, "lowering": 10, "INT8, one image": 5}
YOLO = "yolov3_tiny"
YOLO_PREPROCESS = ["--resize_dims", "416,416", "--keep_aspect_ratio", "--pad_value", "128", "--scale", "0.0039216,0.0039216,0.0039216", "--pixel_format", "rgb"]
YOLO_GOALS = {"run_calibration": 6, "calibration mse": 10}
SEARCH_GOALS = {"search_qtable": 30, "run_sensitive_layer": 40, "run_qtable": 15}
YOLO_SEARCH_GOALS = dict.fromkeys(SEARCH_GOALS, 15)
# What a step finds there is removed before it runs: the reference's search keeps a table that exists.
OUTPUTS = {"search_threshold": "search_table"}

ORT = """
import statistics, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
data = {session.get_inputs()[0].name: numpy.load(sys.argv[2])[session.get_inputs()[0].name]}
session.run(None, data)
times = []
for _ in range(int(sys.argv[4])):
    start = time.perf_counter()
    session.run(None, data)
    times.append((time.perf_counter() - start) * 1e3)
print(f"median {statistics.median(times):.3f} ms")
"""


# One image through the reference's interpreter of lowered networks.
PYMLIR = """
import statistics, sys, time
import numpy, tpu_mlir
sys.path.insert(0, tpu_mlir.__path__[0] + "/python")
import pymlir
module = pymlir.module()
module.load(sys.argv[1])
name = module.input_names[0]
data = numpy.load(sys.argv[2])[name]
times = []
for run in range(int(sys.argv[3]) + 1):
    start = time.perf_counter()
    module.set_tensor(name, data, data.shape)
    module.invoke()
    times.append((time.perf_counter() - start) * 1e3)
print(f"median {statistics.median(times[1:]):.3f} ms")
"""

# Passes from the calibrated float network to the one for the chip.
LOWERING = ["--processor-assign=chip=bm1684x mode=INT8 num_device=1 num_core=1 addr_mode=auto high_precision=False",
            "--import-calibration-table=file=cali_table asymmetric=False", "--processor-top-optimize",
            "--convert-top-to-tpu=weightFileName=lowered_weights.npz asymmetric=False doWinograd=False q_group_size=0 q_symmetric=False "
            "matmul_perchannel=False gelu_mode=normal"]


class Failed(Exception):
    """A command did not succeed; the text says which and what it said."""


class Side:
    """One of the two programs: where its commands are and where it works."""

    def __init__(self, name, commands):
        self.name = name
        self.commands = pathlib.Path(commands)
        self.folder = WORK / name
        self.environment = dict(os.environ, PATH=f"{self.commands}{os.pathsep}{os.environ['PATH']}")

    def run(self, command):
        """Runs a command; returns (seconds, peak bytes, output)."""
        log = self.folder / "log"
        with open(log, "wb") as out:
            start = time.perf_counter()
            process = subprocess.Popen([str(part) for part in command], cwd=self.folder, env=self.environment,
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
            # wait4 counts this command and the processes that it waited for.
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        text = log.read_text(errors="replace")
        if process.returncode != 0:
            raise Failed(f"{self.name}: {' '.join(map(str, command))}\n{text[-3000:]}\nfailed with {process.returncode}")
        return seconds, usage.ru_maxrss * 1024, text

    def command(self, name, *rest):
        return [self.commands / name, *rest]


def first_existing(what, *paths):
    for path in paths:
        if path and pathlib.Path(path).exists():
            return pathlib.Path(path).resolve()
    sys.exit(f"compare: no {what}: run `make demo` first, or name one")


def reference_side(name, variable):
    """The side of a virtual environment that an environment variable names; none where it names none."""
    named = os.environ.get(variable)
    if not named:
        return None
    side = Side(name, pathlib.Path(named).resolve() / "bin")
    if not (side.commands / "model_transform.py").exists():
        sys.exit(f"compare: {side.commands} has no model_transform.py: {variable} should be a virtual environment with tpu-mlir")
    return side


def import_step(name, model, shape, preprocess, photos):
    return ["model_transform.py", "--model_name", name, "--model_def", model, "--input_shapes", shape, *preprocess,
            "--test_input", sorted(photos.iterdir())[0], "--test_result", f"{name}_top_outputs.npz", "--mlir", f"{name}.mlir"]


def calibration_steps(name, photos, count):
    """The commands that calibrate a network, by step."""
    calibration = ["run_calibration.py", f"{name}.mlir", "--dataset", photos, "--input_num", str(count)]
    return {
        "run_calibration": [*calibration, "--tune_num", "5", "-o", "cali_table"],
        "calibration mse": [*calibration, "--cali_method", "use_mse", "-o", "mse_table"],
        "calibration max": [*calibration, "--cali_method", "use_max", "-o", "max_table"],
        "search_threshold": [*calibration, "--search", "search_threshold", "--inference_num", str(min(30, count)),
                             "--quantize_table", "search_qtable", "-o", "search_table"],
    }


def steps(model, photos, count):
    """The commands of the whole journey, by step."""
    return {
        "model_transform": import_step(NAME, model, "[[1,3,224,224]]", PREPROCESS, photos),
        **calibration_steps(NAME, photos, count),
        "model_deploy": ["model_deploy.py", "--mlir", f"{NAME}.mlir", "--quantize", "INT8", "--calibration_table", "cali_table",
                         "--chip", "bm1684x", "--model", f"{NAME}.bmodel"],
        "bmodel inference": ["model_runner.py", "--input", f"{NAME}_in_f32.npz", "--model", f"{NAME}.bmodel", "--output", "outputs.npz"],
    }


def yolo_steps(photos, count):
    """Import and calibration of YOLOv3-tiny, whose file is made here."""
    model = WORK / f"{YOLO}.onnx"
    subprocess.run([sys.executable, ROOT / "benches" / "yolov3_tiny.py", model], check=True)
    return {"model_transform": import_step(YOLO, model, "[[1,3,416,416]]", YOLO_PREPROCESS, photos), **calibration_steps(YOLO, photos, count)}


def chosen(all_steps, names):
    """The steps of these names, all where no names are given."""
    wanted = names.split(",") if names else list(all_steps)
    unknown = [name for name in wanted if name not in all_steps]
    if unknown:
        sys.exit(f"compare: unknown step '{unknown[0]}', expected some of {', '.join(all_steps)}")
    return {name: all_steps[name] for name in wanted}


def search_steps(name, photos, count):
    """What the searches start from, and the searches."""
    calibrates, compares = str(min(32, count)), str(min(10, count))
    samples = ["--dataset", photos, "--expected_cos", "0.9999", "--chip", "bm1684x"]
    start = {"calibration": ["run_calibration.py", f"{name}.mlir", "--dataset", photos, "--input_num", calibrates, "-o", "start_table"]}
    searches = {
        "search_qtable": ["run_calibration.py", f"{name}.mlir", *samples, "--input_num", calibrates, "--inference_num", compares, "--search", "search_qtable",
                          "--quantize_method_list", "KL,MSE", "--transformer", "False", "--quantize_table", "searched_qtable", "-o", "searched_table"],
        "run_sensitive_layer": ["run_sensitive_layer.py", f"{name}.mlir", *samples, "--input_num", calibrates, "--inference_num", compares,
                                "--calibration_table", "start_table", "-o", "sensitive_qtable"],
        "run_qtable": ["run_qtable.py", f"{name}.mlir", *samples, "--input_num", compares, "--min_layer_cos", "0.999", "--calibration_table", "start_table", "-o", "walked_qtable"],
    }
    return start, searches


def measure_searches(name, import_command, photos, count, goals, sides, runs):
    """The searches of one network, on a network that each side has imported and calibrated itself."""
    start, searches = search_steps(name, photos, count)
    try:
        for side in sides:
            for command in [import_command, *start.values()]:
                side.run(side.command(*command))
    except Failed as failure:
        print(f"{'searches':<26}{failure}", flush=True)
        return
    measure(searches, goals, sides, runs)


def measure(all_steps, goals, sides, runs):
    """Runs every step on every side in turn and prints a line for each."""
    ours, theirs = sides[0].name, sides[-1].name
    for step, command in all_steps.items():
        figures = {side.name: [] for side in sides}
        try:
            for side in [side for _ in range(runs) for side in sides]:
                if step in OUTPUTS:
                    (side.folder / OUTPUTS[step]).unlink(missing_ok=True)
                figures[side.name].append(side.run(side.command(*command))[:2])
        except Failed as failure:
            print(f"{step:<26}{failure}", flush=True)
            continue
        seconds = {name: statistics.median(f[0] for f in found) for name, found in figures.items()}
        memory = {name: max(f[1] for f in found) / 2**20 for name, found in figures.items()}
        line = f"{step:<26}{seconds[ours]:>9.3f} s"
        if len(sides) > 1:
            goal = f"{goals[step]}x" if step in goals else ""
            line += f"{seconds[theirs]:>10.3f} s{seconds[theirs] / seconds[ours]:>8.1f}x{goal:>8}"
        else:
            line += " " * 29
        line += f"{memory[ours]:>7.0f} MB" + (f"{memory[theirs]:>9.0f} MB" if len(sides) > 1 else "")
        print(line, flush=True)


def median_ms(text):
    return float(re.search(r"median ([\d.]+) ms", text)[1])


def float_inference(ours, reference, model, cpus, runs):
    """Milliseconds of one image in the float network, without loading: ours and onnxruntime's."""
    given = ours.folder / f"{NAME}_in_f32.npz"
    mine, theirs = [], []
    for _ in range(runs):
        mine.append(median_ms(ours.run(ours.command("measure", "--model", f"{NAME}.mlir", "--input", given, "--repeat", "30"))[2]))
        if reference:
            theirs.append(median_ms(reference.run([reference.commands / "python", "-c", ORT, model, given, str(cpus), "30"])[2]))
    return statistics.median(mine), statistics.median(theirs) if theirs else None


def pass_ms(text):
    """Milliseconds of each pass in a report of --mlir-timing."""
    return {name: float(seconds) * 1e3 for seconds, name in re.findall(r"^\s+([\d.]+) \(\s*[\d.]+%\)\s+(\S+)$", text, re.MULTILINE)}


def lower(side, runs, passes):
    """Milliseconds of some of the passes that lower to INT8; the lowered network stays in `lowered.mlir`."""
    command = side.command("tpuc-opt", f"{NAME}.mlir", *LOWERING, "--mlir-timing", "-o", "lowered.mlir")
    reports = [pass_ms(side.run(command)[2]) for _ in range(3 * runs)]
    return statistics.median(sum(ms for name, ms in report.items() if passes(name)) for report in reports)


def lowering(side, runs):
    """The pass that lowers, alone."""
    return lower(side, runs, lambda name: name in ("convert-top-to-tpu", "ConvertTopToTpu"))


def all_passes(side, runs):
    """All passes, which read the table and the weights too; without reading and writing text, and without writing weights."""
    return lower(side, runs, lambda name: name not in ("Parser", "Output", "Rest", "Total", "Init", "Deinit"))


def int8_inference(ours, side, runs):
    """Milliseconds of one image in the lowered network, without loading."""
    given = ours.folder / f"{NAME}_in_f32.npz"
    if side is ours:
        command = ours.command("measure", "--model", "lowered.mlir", "--input", given, "--repeat", "30")
    else:
        command = [side.commands / "python", "-c", PYMLIR, "lowered.mlir", given, "5"]
    return statistics.median(median_ms(side.run(command)[2]) for _ in range(runs))


def cycles(ours, side):
    text = ours.run(ours.command("measure", "--model", side.folder / f"{NAME}.bmodel"))[2]
    return int(re.search(r"cycles (\d+)", text)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="runs of each step (default 3)")
    parser.add_argument("--cpus", type=int, default=0, help="processors that both sides may use (default: all)")
    parser.add_argument("--photos", help="photographs to calibrate on")
    parser.add_argument("--model", help="the ONNX file")
    parser.add_argument("--samples", type=int, default=100, help="how many photographs calibrate (default 100)")
    parser.add_argument("--steps", help="only these steps, comma separated; each needs the files of those before it")
    parser.add_argument("--networks", default=f"{NAME},{YOLO}", help="which networks are measured (default: both)")
    parser.add_argument("--parts", default="calibration,searches", help="what is measured: calibration (with import and deployment), searches (default: both)")
    arguments = parser.parse_args()
    networks = arguments.networks.split(",")
    unknown = [name for name in networks if name not in (NAME, YOLO)]
    if unknown:
        sys.exit(f"compare: unknown network '{unknown[0]}', expected {NAME} or {YOLO}")

    parts = ["calibration"] if arguments.steps else arguments.parts.split(",")
    unknown = [part for part in parts if part not in ("calibration", "searches")]
    if unknown:
        sys.exit(f"compare: unknown part '{unknown[0]}', expected calibration or searches")

    allowed = sorted(os.sched_getaffinity(0))
    if arguments.cpus:
        allowed = allowed[: arguments.cpus]
        os.sched_setaffinity(0, allowed)
    model = first_existing("ONNX file", arguments.model, SHARED / "models" / f"{NAME}.onnx", ROOT / "build" / "demo" / f"{NAME}.onnx")
    photos = first_existing("photographs", arguments.photos, SHARED / "photos" / "calibration200", ROOT / "build" / "demo" / "data" / "calibration")
    count = min(arguments.samples, len(list(photos.iterdir())))

    ours = Side("tpuc", ROOT / "build" / "bin")
    sides = [ours]
    reference = reference_side("reference", "TPUC_REFERENCE")
    sides += [reference] if reference else []
    documented = reference_side("reference 1.15", "TPUC_REFERENCE_115")
    for side in [*sides, documented] if documented else sides:
        shutil.rmtree(side.folder, ignore_errors=True)
        side.folder.mkdir(parents=True)

    load = os.getloadavg()[0]
    print(f"{count} photographs, {len(allowed)} processors, medians of {arguments.runs}; load before: {load:.1f}", flush=True)
    if not reference:
        print("no reference (TPUC_REFERENCE is not set): only our own figures")
    if not documented:
        print("no reference 1.15 (TPUC_REFERENCE_115 is not set): only our own figures for the searches")
    searching = [ours, documented] if documented else [ours]
    print(f"{'step':<26}{'tpuc':>11}{'reference':>12}{'ratio':>9}{'goal':>8}{'memory':>10}{'reference':>12}")
    if YOLO in networks:
        print(f"-- {YOLO} with random weights, 416 x 416")
        all_steps = yolo_steps(photos, count)
        if "calibration" in parts:
            measure(chosen(all_steps, arguments.steps), YOLO_GOALS, sides, arguments.runs)
        if "searches" in parts:
            measure_searches(YOLO, all_steps["model_transform"], photos, count, YOLO_SEARCH_GOALS, searching, arguments.runs)
    if NAME not in networks:
        return
    print(f"-- {NAME}")
    all_steps = steps(model, photos, count)
    if "searches" in parts:
        measure_searches(NAME, all_steps["model_transform"], photos, count, SEARCH_GOALS, searching, arguments.runs)
    if "calibration" not in parts:
        return
    measure(chosen(all_steps, arguments.steps), GOALS, sides, arguments.runs)
    if arguments.steps:
        return

    mine, theirs = float_inference(ours, reference, model, len(allowed), arguments.runs)
    line = f"{'float, one image':<26}{mine:>8.2f} ms"
    if theirs:
        line += f"{theirs:>9.2f} ms{theirs / mine:>8.2f}x{1 / 1.3:>7.2f}x   (onnxruntime)"
    print(line)
    for what, figure in [("lowering", lowering), ("lowering, with reading", all_passes), ("INT8, one image", lambda side, runs: int8_inference(ours, side, runs))]:
        try:
            figures = [figure(side, arguments.runs) for side in sides]
        except Failed as failure:
            print(f"{what:<26}{failure}", flush=True)
            continue
        line = f"{what:<26}{figures[0]:>8.2f} ms"
        if reference:
            goal = f"{GOALS[what]}x" if what in GOALS else ""
            line += f"{figures[1]:>9.2f} ms{figures[1] / figures[0]:>8.1f}x{goal:>8}"
        print(line, flush=True)
    line = f"{'estimated cycles':<26}{cycles(ours, ours):>11,}"
    if reference:
        line += f"{cycles(ours, reference):>12,}{cycles(ours, reference) / cycles(ours, ours):>8.2f}x"
    print(line)
    print(f"{'bmodel, bytes':<26}" + "".join(f"{(side.folder / (NAME + '.bmodel')).stat().st_size:>12,}" for side in sides).replace(" ", "", 1))


if __name__ == "__main__":
    main()
