#!/usr/bin/env python3
"""Runs all tests (cargo, lit, conformance) and ends with one line that sums them up.

Conformance compares with the vendor's runtime; where that cannot be fetched those tests count as skipped. A cargo test that
prints a line beginning with "skipped:" counts as skipped instead of passed.
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LLVM = os.environ.get("MLIR_SYS_220_PREFIX", "/usr/lib/llvm-22")


def stream(command, env=None):
    """Runs a command, shows its output as it comes, and returns (exit code, lines)."""
    print("+ " + " ".join(command), flush=True)
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace")
    lines = []
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        lines.append(line.rstrip("\n"))
    return process.wait(), lines


def vendor_libraries():
    """The folder of the vendor's libraries, fetched if need be; None where they cannot be had."""
    given = os.environ.get("TPUC_BMRT_DIR")
    if given:
        return given
    folder = ROOT / "build" / "vendor"
    done = subprocess.run(["bash", str(ROOT / "scripts" / "vendor-libs.sh"), str(folder)], stdin=subprocess.DEVNULL)
    return str(folder / "bm1684x") if done.returncode == 0 else None


def skipped_tests(lines):
    """How many tests passed without testing: each printed "skipped:" into the output that cargo shows of it."""
    names = set()
    binary = test = None
    for line in lines:
        if line.lstrip().startswith(("Running ", "Doc-tests ")):
            binary, test = line.strip(), None
        found = re.fullmatch(r"---- (.+) stdout ----", line)
        if found:
            test = found[1]
        elif line in ("successes:", "failures:"):
            test = None
        elif line.startswith("skipped:") and test:
            names.add((binary, test))
    return len(names)


def cargo(env):
    code, lines = stream(["cargo", "test", "--release", "--workspace", "--no-fail-fast", "--", "--show-output"], env)
    passed = failed = skipped = 0
    for line in lines:
        found = re.match(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", line)
        if found:
            passed += int(found[1])
            failed += int(found[2])
            skipped += int(found[3])
    quiet = min(skipped_tests(lines), passed)
    if code != 0 and failed == 0:
        failed = 1
    return passed - quiet, failed, skipped + quiet


def lit():
    tool = pathlib.Path(LLVM) / "bin" / "lit"
    if not (ROOT / "lit.cfg.py").exists():
        print("skipped: no lit.cfg.py")
        return 0, 0, 1
    code, lines = stream([str(tool), "-v", "test"])
    counts = {"Passed": 0, "Failed": 0, "Unsupported": 0, "Unresolved": 0, "Timed Out": 0, "Expectedly Failed": 0}
    for line in lines:
        found = re.match(r"\s*(Passed|Failed|Unsupported|Unresolved|Timed Out|Expectedly Failed)\s*:\s*(\d+)", line)
        if found:
            counts[found[1]] += int(found[2])
    failed = counts["Failed"] + counts["Unresolved"] + counts["Timed Out"]
    if code != 0 and failed == 0:
        failed = 1
    return counts["Passed"] + counts["Expectedly Failed"], failed, counts["Unsupported"]


def main():
    env = dict(os.environ)
    libraries = vendor_libraries()
    if libraries:
        env["TPUC_BMRT_DIR"] = libraries
    else:
        print("skipped: the vendor's libraries cannot be fetched; nothing is compared with them")
        env.pop("TPUC_BMRT_DIR", None)
    totals = [sum(column) for column in zip(cargo(env), lit())]
    if not libraries:
        totals[2] += 1
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped", flush=True)
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())
