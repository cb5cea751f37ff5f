"""`netgen train` on a GPU: whether a run can be repeated, and resumed, to the same weights."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from gpu_proof.engines import NETGEN, Engine, StageError
from gpu_proof.workspace import PIXELS
from netgen.caffe.caffemodel import read_weights

ITERATIONS, SNAPSHOT = 16, 8
BUILD = (
    *("build", "--variant", "xs", "--dataset", PIXELS),
    *("--max-iter", str(ITERATIONS), "--snapshot", str(SNAPSHOT), "--display", "4"),
    *("--test-interval", str(ITERATIONS), "--solver-mode", "gpu"),
)
WAIT = 150.0  # seconds for a snapshot to appear


def prove(folder: Path, engine: Engine, scale: tuple[str, ...]) -> dict[str, object]:
    """Train twice alike and once with an interruption; return how far the weights are apart."""
    name = engine.name.replace(" ", "-")
    run, built = f"runs/{name}", f"resumed-{name}"
    engine.netgen(folder, *BUILD, "--out", built, *scale)
    train = ("train", "--solver", f"{built}/solvers/xs.prototxt", "--gpu", "0", "--run")
    started = time.monotonic()
    engine.netgen(folder, *train, f"{run}-straight")
    seconds = time.monotonic() - started
    engine.netgen(folder, *train, f"{run}-again")
    stopped_at = _interrupt(folder, engine, (*train, f"{run}-resumed"))
    said = engine.netgen(folder, "train", "--resume", "--run", f"{run}-resumed")
    weights = {
        name: folder / f"{run}-{name}/snapshots/xs_iter_{ITERATIONS}.caffemodel"
        for name in ("straight", "again", "resumed")
    }
    return {
        "engine": engine.name, "iterations": ITERATIONS, "stopped at": stopped_at,
        "repeated": _apart(weights["straight"], weights["again"]),
        "resumed": _apart(weights["straight"], weights["resumed"]),
        "seconds of a run": seconds, "said": said[-800:],
    }  # fmt: skip


def _interrupt(folder: Path, engine: Engine, train: tuple[str, ...]) -> int:
    """Begin a run, stop it with Ctrl-C after its first snapshot; return the newest's iteration."""
    command, run = [str(engine.python), *NETGEN, *train], train[-1]
    process = subprocess.Popen(
        command, cwd=folder, env=engine.environment(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )  # fmt: skip
    first = folder / run / f"snapshots/xs_iter_{SNAPSHOT}.solverstate"
    deadline = time.monotonic() + WAIT
    while not first.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    try:
        said, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise StageError("netgen train: Ctrl-C did not end it within 60 s") from None
    states = (folder / run).glob("snapshots/xs_iter_*.solverstate")
    found = [int(state.stem.rpartition("_")[2]) for state in states]
    if not found:
        raise StageError(f"netgen train left no snapshot: {said[-800:]}")
    return max(found)


def _apart(one: Path, other: Path) -> dict[str, object]:
    """Return whether two caffemodels are the same bytes, and the largest relative difference."""
    if one.read_bytes() == other.read_bytes():
        return {"same bytes": True, "apart": 0.0}
    left, right = read_weights(one), read_weights(other)
    apart = [
        float(np.linalg.norm(a - b) / max(float(np.linalg.norm(a)), 1e-12))
        for one_layer, other_layer in zip(left, right, strict=True)
        for a, b in zip(one_layer.blobs, other_layer.blobs, strict=True)
    ]
    return {"same bytes": False, "apart": max(apart)}
