"""netgen's own commands with `--gpu 0`, against the same on the CPU: small networks, whole runs."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from support.two_devices import without_dropout

from gpu_proof.engines import Engine
from gpu_proof.workspace import PIXELS

VARIANTS = ("xs", "x1", "vgg16-anp", "inception-v1-adj")
ITERATIONS = 40
TINY = {
    "xs": ("--width", "8", "--blocks", "1,1,1,3"),
    "x1": ("--width", "8", "--blocks", "1,1,1,3"),
    "vgg16-anp": ("--width", "8"),
    "inception-v1-adj": ("--width", "8"),
}
# A rounding grows from iteration to iteration: the first ten are judged, all of them are told.
CLOSE, CLOSE_ITERATIONS = 1e-4, 10


def prove(folder: Path, engine: Engine) -> list[dict[str, object]]:
    """Train, test and resume small networks on both devices; return how far losses are apart."""
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 4)) as pool:
        return list(pool.map(lambda variant: _prove(folder, engine, variant), VARIANTS))


def _prove(folder: Path, engine: Engine, variant: str) -> dict[str, object]:
    runs, results = {}, {}
    name = engine.name.replace(" ", "-")
    for device in ("cpu", "gpu"):
        out = f"tiny-{name}-{device}"
        words = ("--dataset", PIXELS, "--out", out, "--batch-size", "8")
        engine.netgen(
            folder, "build", "--variant", variant, *TINY[variant], *words,
            "--solver-mode", device, "--max-iter", str(ITERATIONS), "--snapshot", "20",
            "--display", "1", "--test-interval", "20",
        )  # fmt: skip
        net = folder / out / f"models/{variant}/train_val.prototxt"
        net.write_text(without_dropout(net.read_text()))
        run = f"runs/{name}-{variant}-{device}"
        on = ("--gpu", "0") if device == "gpu" else ()
        engine.netgen(
            folder, "train", "--solver", f"{out}/solvers/{variant}.prototxt", "--run", run, *on
        )
        runs[device] = _losses(folder / run / "log.jsonl")
    # The same weights, those of the GPU's run, on both.
    for device in ("cpu", "gpu"):
        on = ("--gpu", "0") if device == "gpu" else ()
        engine.netgen(
            folder, "eval", "--variant", variant, "--weights", f"runs/{name}-{variant}-gpu",
            "--dataset", PIXELS, "--out", f"{name}-{variant}-{device}.json",
            "--net", f"tiny-{name}-gpu/models/{variant}/deploy.prototxt", *on,
        )  # fmt: skip
        results[device] = json.loads((folder / f"{name}-{variant}-{device}.json").read_text())
    apart = [
        abs(one - other) / abs(one)
        for one, other in zip(runs["cpu"], runs["gpu"], strict=True)
    ]  # fmt: skip
    right = {device: _right(result) for device, result in results.items()}
    return {
        "network": variant, "engine": engine.name, "iterations": len(apart),
        "losses apart, first ten": max(apart[:CLOSE_ITERATIONS]), "losses apart": max(apart),
        "agrees": max(apart[:CLOSE_ITERATIONS]) <= CLOSE and right["cpu"] == right["gpu"],
        "right": right,
    }  # fmt: skip


def _losses(journal: Path) -> list[float]:
    entries = map(json.loads, journal.read_text(encoding="utf-8").splitlines())
    return [float(entry["loss"]) for entry in entries if entry["event"] == "train"]


def _right(result: dict[str, Any]) -> dict[str, list[int]]:
    """Return how many images a test got right in each task, top-1 and top-5."""
    return {
        task["name"]: [task["accuracy"][kind]["correct"] for kind in ("top1", "top5")]
        for task in result["tasks"]
    }
