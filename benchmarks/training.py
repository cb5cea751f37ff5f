"""How much longer an iteration of `netgen train` takes than one of `caffe train`.

    python benchmarks/training.py --solver FILE [--pairs N] [--iterations N]

Run it in the folder where the solver works, with a network whose iteration takes 0.3 s or more.
Each pair trains twice, by turns first and second, so that a machine that slows down slows both:
with displays, journal and plateau rule on, without tests and snapshots, whose time is their own.
An iteration's time is that between the first and the last display, so that neither's start counts.
The target is a median ratio of 1.02.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from google.protobuf import text_format

from netgen.caffe.schema import read_solver

BIN = Path(sys.executable).parent
DISPLAYED = re.compile(r"^I\d+ (\d\d:\d\d:\d\d\.\d+) .*\] Iteration (\d+), lr", re.MULTILINE)


def by_caffe(solver: Path) -> float:
    """Return the seconds an iteration of `caffe train`, by the times in its log."""
    run = subprocess.run(
        [BIN / "caffe", "train", "-solver", solver], capture_output=True, text=True, check=True
    )
    shown = [
        (datetime.strptime(time, "%H:%M:%S.%f"), int(n))
        for time, n in DISPLAYED.findall(run.stderr)
    ]
    (start, first), (end, last) = shown[0], shown[-1]
    return (end - start).total_seconds() % 86400 / (last - first)


def by_netgen(solver: Path, run: Path) -> float:
    """Return the seconds an iteration of `netgen train`, by its journal."""
    words = ["train", "--solver", str(solver), "--run", str(run), "--patience", "1000"]
    subprocess.run([BIN / "netgen", *words], capture_output=True, check=True)
    entries = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    shown = [entry for entry in entries if entry["event"] == "train"]
    first, last = shown[0], shown[-1]
    return (last["seconds"] - first["seconds"]) / (last["iteration"] - first["iteration"])


def main() -> None:
    """Time pairs of runs, and tell the median ratio with its spread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--solver", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=41)
    options = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ |= {"GLOG_logtostderr": "1"}
    ratios, times = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        solver = read_solver(options.solver)
        solver.max_iter, solver.display, solver.snapshot = options.iterations, 5, 0
        solver.snapshot_prefix = str(folder / "caffe")
        del solver.test_iter[:]
        for field in ("test_interval", "test_initialization"):
            solver.ClearField(field)
        file = folder / "solver.prototxt"
        file.write_text(text_format.MessageToString(solver))
        for pair in range(options.pairs):
            caffe = by_caffe(file) if pair % 2 else 0.0
            netgen = by_netgen(file, folder / f"run{pair}")
            caffe = caffe or by_caffe(file)
            ratios.append(netgen / caffe)
            times.append(caffe)
            print(f"caffe {caffe:.4f}, netgen {netgen:.4f} s/iteration: {ratios[-1]:.4f}")
    print(
        f"an iteration of {statistics.median(times):.3f} s: {statistics.median(ratios):.4f} times"
        f" as long, {min(ratios):.4f} to {max(ratios):.4f}  (at most 1.02)"
    )


if __name__ == "__main__":
    main()
