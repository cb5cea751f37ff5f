"""An experiment's results, made up: for what follows from numbers."""

from __future__ import annotations

from netgen.paper import TASKS
from netgen.pipeline.miniature import ExperimentSettings, report_cells
from netgen.pipeline.records import VERSION, CellRecord, Correct, CrossWeights, Experiment

IMAGES = 100_000
WAVES = (0.0, 1.0, -1.0, 0.5, -0.5)  # how seeds differ, in spreads


def synthetic(accuracies: dict[str, tuple[float, ...]], spread: float) -> Experiment:
    """Return five seeds of networks with these accuracies (noun, adjective, pair) in percent.

    `spread` is how far seeds differ, each network in its own direction.
    """
    return Experiment(
        version=VERSION,
        machine="none",
        seconds=1.0,
        jobs=1,
        settings=ExperimentSettings(100, {}),
        cells=tuple(
            _cell(cell.network, cell.seed, accuracies, spread)
            for cell in report_cells(5)
            if cell.network.partition("-")[0] in accuracies and not _beyond(cell.network)
        ),
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
    return CellRecord(name, seed, 0.01, tasks, curves, cross, 1, 1, 1.0, "", "", {})
