"""Studies for tests: small ones that real Caffe trains in seconds, and results that are made up."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from netgen.paper import TASKS
from netgen.pipeline.running.records import (
    VERSION,
    CellRecord,
    Correct,
    CrossWeights,
    DatasetFacts,
    StudyResults,
)
from netgen.pipeline.study.study_plan import Plan, plan_study
from netgen.pipeline.study.study_reading import committed
from support.data import succeed

IMAGES = 100_000
WAVES = (0.0, 1.0, -1.0, 0.5, -0.5)  # how seeds differ, in spreads
SIDE = 16

# What trains in a second or two.
TINY = """
[recipe]
width = 4
blocks = [1, 1, 1, 3]
stem = "small"
batch-size = 4
mirror = false
moving-average = 0.9
iterations = 4
tests = 2
snapshots = 2
display = 2
plateau = "off"
"""


# Two tasks, two networks from one trunk, two seeds; the dataset is in the folder `two`.
PAIRED = """
name = "two"
solver-mode = "cpu"
seeds = 2
varies = ["order", "split", "fillers"]
datasets.things = { file = "two/made/dataset.toml" }
networks.trunk = { variant = "resnet50-noun", start = "fillers", seeds = [7], reported = false }
networks.x0 = { variant = "x0", title = "without" }
networks.xs = { variant = "xs", reading = ["normalization=mean"], about = "divided", share = 0.75 }
report.differences = [["xs", "x0"]]
report.curves = ["x0", "xs"]
report.draw = "xs-1"
report.inside = ["x0", "xs"]
[[sentences]]
kind = "difference"
says = "cross weights help"
better = "xs"
worse = "x0"
"""


def study(text: str, recipe: str = "", lines: str = "") -> str:
    """The text of a study with the tiny recipe; `recipe` and `lines` are added to its tables."""
    head, sep, tables = text.partition("[[sentences]]")
    return f"{head}{lines}\n{TINY}{recipe}\n{sep}{tables}"


def two_classes_each(folder: Path, tasks: Sequence[str], each: int = 3) -> Path:
    """Make a dataset of noise in `folder`, each task of two classes, all combined."""
    images = folder / "images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(len(tasks))
    rows = []
    for labels in product("ab", repeat=len(tasks)):
        for number in range(each):
            name = f"{''.join(labels)}{number}.png"
            Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(images / name)
            rows.append([f"images/{name}", *labels])
    listed = folder / "noise.csv"
    with listed.open("w", newline="") as file:
        csv.writer(file).writerows([["path", *tasks], *rows])
    succeed("csv", listed, "--out", folder / "made", "--size", str(SIDE), "--jobs", "1")
    return folder / "made/dataset.toml"


def miniature() -> Plan:
    """The plan of the committed miniature."""
    return plan_study(committed("miniature"))


def synthetic(accuracies: dict[str, tuple[float, ...]], spread: float) -> StudyResults:
    """Return the miniature's five seeds of networks with these accuracies, in percent.

    They are of noun, adjective and pair. `spread` is how far seeds differ, each network in its own
    direction.
    """
    cells = [cell.trained for cell in miniature().deciding if cell.trained]
    wanted = [
        c for c in cells if c.network.partition("-")[0] in accuracies and not _beyond(c.network)
    ]
    return StudyResults(
        version=VERSION,
        study="miniature",
        machine="none",
        seconds=1.0,
        jobs=1,
        datasets={"letters": DatasetFacts(dict(TASKS), 1, IMAGES, {})},
        cells=tuple(_cell(c.network, c.seed, accuracies, spread) for c in wanted),
    )


def _beyond(name: str) -> bool:
    return "-" in name and not name.startswith("resnet50")


def _cell(
    name: str, seed: int, accuracies: dict[str, tuple[float, ...]], spread: float
) -> CellRecord:
    family, _, single = name.partition("-")
    turn = list(accuracies).index(family)
    moved = spread * WAVES[(seed + turn * seed) % len(WAVES)]
    tasks = {
        task: Correct(round(IMAGES * (value + moved) / 100), IMAGES, IMAGES)
        for task, value in zip(TASKS, accuracies[family], strict=True)
        if single in ("", task)
    }
    cross = CrossWeights(100, 60 + seed, 3, 0, 0.1) if name == "xs" else None
    curves = {task: [(100, 0.5)] for task in tasks}
    names = (f"{name}-{seed}", name, name)
    return CellRecord(*names, seed, {}, None, {}, tasks, curves, cross, 1, 1, 1.0, "", "", {})
