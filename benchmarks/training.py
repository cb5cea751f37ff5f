"""Compare the time of an iteration of `netgen train` with that of `caffe train`.

    python benchmarks/training.py --solver FILE [--pairs N] [--iterations N]

Run it in the folder where the network was built, with one whose iteration takes 0.3 s or more. Each
pair trains once with each program, in alternating order, so that a machine that slows down affects
both. Displays, journal and plateau rule are on; tests and snapshots are off. The time is measured
from the first to the last display, so that starting up does not count. The target is a median ratio
of at most 1.02.
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
    """Return the seconds per iteration of `caffe train`, from the times in its log."""
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
    """Return the seconds per iteration of `netgen train`, from its journal."""
    words = ["train", "--solver", str(solver), "--run", str(run), "--patience", "1000"]
    subprocess.run([BIN / "netgen", *words], capture_output=True, check=True)
    entries = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    shown = [entry for entry in entries if entry["event"] == "train"]
    first, last = shown[0], shown[-1]
    seconds: float = last["seconds"] - first["seconds"]
    iterations: int = last["iteration"] - first["iteration"]
    return seconds / iterations


def main() -> None:
    """Time pairs of runs, and print the median ratio with its range."""
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
        f"netgen / caffe: {statistics.median(ratios):.4f} ({min(ratios):.4f} to {max(ratios):.4f}),"
        f" target 1.02; caffe: {statistics.median(times):.3f} s/iteration"
    )


if __name__ == "__main__":
    main()
