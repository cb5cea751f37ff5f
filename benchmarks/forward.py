"""Time the engines of `netgen eval` on networks of the paper's size, forward alone, by turns.

    python benchmarks/forward.py [VARIANT ...] [--batch N] [--rounds N]

Ratios of processor time to Caffe's, in one thread each, on random weights and images; the target
for onnxruntime is 2.5. `CAFFE_PLAIN=1` compares with the loops that Caffe came with.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when Caffe's BLAS is loaded, and by netgen

import caffe
import numpy as np

from netgen.evaluation.deployed import read_deployed
from netgen.evaluation.scoring import LOADERS, ScoringJob
from netgen.network.variants import variants

TARGET = 2.5
VARIANTS = variants(("noun", "adj", "anp"))


def runs_of(variant: str, batch: int, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return what runs random images forward in each engine."""
    network, weights = Path(f"models/{variant}/deploy.prototxt"), folder / "random.caffemodel"
    net = caffe.Net(str(network), caffe.TEST)
    net.save(str(weights))
    shape = (batch, *net.blobs["data"].data.shape[1:])
    images = np.random.default_rng(1).uniform(-120, 130, shape).astype(np.float32)
    job = ScoringJob(read_deployed(network, VARIANTS[variant].tasks), weights, [])
    loaded = {name: load(job) for name, load in LOADERS.items()}
    return {name: partial(run, images) for name, run in loaded.items()}


def main() -> int:
    """Print the ratios of each variant; exit code 1 below the target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("variants", nargs="*", metavar="VARIANT", default=sorted(VARIANTS))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    met = True
    for variant in options.variants:
        with tempfile.TemporaryDirectory() as folder:
            runs = runs_of(variant, options.batch, Path(folder))
        took: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                start = time.process_time()
                run()
                took[name].append(time.process_time() - start)
        ratios = {
            name: [caffes / ours for caffes, ours in zip(took["caffe"], seconds, strict=True)]
            for name, seconds in took.items()
        }
        rate = options.batch / statistics.median(took["caffe"])
        told = "; ".join(
            f"{name} {statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"
            for name, each in ratios.items()
            if name != "caffe"
        )
        print(f"{variant:<18} caffe {rate:.1f} images/s; {told}", flush=True)
        met = met and statistics.median(ratios["onnx"]) >= TARGET
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
