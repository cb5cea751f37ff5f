"""Results of studies that are made up: each cell has the accuracy that a test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from netgen.evaluation.results import SumScale
from netgen.pipeline.running.records import (
    VERSION,
    CellRecord,
    Correct,
    CrossWeights,
    DatasetFacts,
    Snapshot,
    StudyResults,
)
from netgen.pipeline.study.cells import Trained
from netgen.pipeline.study.study_plan import Plan, plan_study
from support.studies import IMAGES

# Twelve places, two sentences, three seeds.
GRID = """
name = "where"
seeds = 3
datasets.letters = { file = "letters/dataset.toml" }
networks.x0 = { variant = "x0", title = "X_0", axes = ["start", "rate"] }
networks.x1 = { variant = "x1", title = "X_1" }
networks.xs = { variant = "xs", title = "X_S" }
axes.start = { trunk = {}, scratch = { momentum = 0.8 } }
axes.factor = { none = {}, mean = { reading = ["normalization=mean"] } }
axes.rate = { low = { base-lr = 0.01 }, high = { base-lr = 0.1 }, higher = { base-lr = 0.2 } }
report = { correction = "benjamini-hochberg", inside = ["x0", "xs"] }
[[sentences]]
kind = "difference"
claim = "xs-above-x0"
about = "X_S - X_0: positive if so"
better = "xs"
worse = "x0"
[[sentences]]
kind = "difference"
says = "identity is worse"
better = "x0"
worse = "x1"
"""
Accuracy = Callable[[Trained], float]


def planned(folder: Path, text: str = GRID) -> Plan:
    """The plan of a study that is written into a folder."""
    (folder / "study.toml").write_text(text)
    return plan_study(folder / "study.toml")


def made_up(plan: Plan, accuracy: Accuracy, tasks: Sequence[str] = ("noun", "adj")) -> StudyResults:
    """Results in which each cell has the accuracy that `accuracy` says, in percent, and a little.

    The little differs between seeds, each network in its own direction.
    """
    wanted = [(c.name, c.trained) for c in (*plan.deciding, *plan.trials) if c.trained]
    cells = tuple(_record(name, cell, accuracy, tasks) for name, cell in wanted)
    facts = {"letters": DatasetFacts(dict.fromkeys(tasks, 2), 1, IMAGES, {})}
    return StudyResults(VERSION, plan.study.name, "none", 1.0, 1, facts, cells)


def _record(name: str, cell: Trained, accuracy: Accuracy, tasks: Sequence[str]) -> CellRecord:
    noise = 0.01 * (cell.seed * (1 + len(cell.network + cell.variant)) % 3)
    right = round(IMAGES * (accuracy(cell) + noise) / 100)
    mine = [t for t in tasks if cell.variant == f"resnet50-{t}"] or tasks
    others = (0.5,) if cell.network != "x0" else ()
    sums = tuple(SumScale("5b", task, 1.0, 2.0, others, size) for task, size in
                 (("noun", 2.0), ("adj", 4.0)))  # fmt: skip
    history = {"5b": [Snapshot(0, 0.5, 0.04), Snapshot(9, 0.25 + 0.1 * (cell.seed % 5), 0.1)]}
    kept = cell.inside
    return CellRecord(
        name, cell.network, cell.variant, cell.seed, cell.labels, cell.trial,
        msgspec.to_builtins(cell.settings.given()),
        {task: Correct(right, IMAGES, IMAGES) for task in mine},
        {task: [(5, right / IMAGES / 2), (9, right / IMAGES)] for task in mine},
        CrossWeights(100, 60 + cell.seed % 9, 3, 0, 0.1) if cell.variant == "xs" else None,
        1, 1, 1.0, "", "", {},
        sums if kept else (), history if kept and cell.network == "xs" else {},
    )  # fmt: skip


def papers(cell: Trained) -> float:
    """The paper's order at a high rate; at others, X_S is worse, or all are the same."""
    rate = cell.labels["rate"]
    if rate == "low":
        return 50.0
    better = {"x0": 50.0, "x1": 20.0, "xs": 60.0}
    worse = {"x0": 50.0, "x1": 60.0, "xs": 40.0}
    return (better if rate == "high" else worse)[cell.network]
