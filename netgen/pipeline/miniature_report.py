"""The report of the miniature: README.md, results.json and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from data_prep.listings import read_list
from data_prep.photographs import Photographs
from netgen.evaluation.prediction import PredictionRequest, predictions
from netgen.figures.cross_weights import draw_cross_weights
from netgen.figures.curves import draw_mean_curves
from netgen.figures.predictions import SIDE, draw_predictions
from netgen.network.dataset import Dataset, read_dataset
from netgen.network.description import describe
from netgen.network.render import render
from netgen.network.variants import find
from netgen.paper import TASKS, Recipe
from netgen.paper.implied import chance
from netgen.pipeline.miniature import (
    CHOOSING,
    ITERATIONS,
    LETTERS,
    RATE,
    RATES,
    SEEDS,
    SHAPE,
    SINGLE,
    SPECULATED_SEEDS,
    Cell,
    drops,
)
from netgen.pipeline.parts import ExperimentFolders, trained_weights
from netgen.pipeline.records import NEAR, CellRecord, Experiment, means, read_choice
from netgen.pipeline.sentences import accuracy, by_seed, comparisons, findings, less
from netgen.pipeline.statistics import Mean, mean
from netgen.system.files import write_all

# The differences in the report: those that the paper discusses.
PAIRS = (("single", "x0"), ("xs", "x0"), ("xs", "x1"), ("x0", "x1"), ("xs", "single"))
FAMILIES = {"single": "three single-task networks", "x0": "X_0", "x1": "X_1", "xs": "X_S"}
FIGURE_6_IMAGES = 6
COLUMNS = tuple((task, k) for k in (1, 5) for task in TASKS)


@dataclass(frozen=True)
class ReportRow:
    """A network of Table 2: its mean accuracies, in the order of `COLUMNS`, and its costs."""

    name: str
    cells: tuple[Mean, ...]
    parameters: int
    multiply_adds: int
    seconds: float


@dataclass(frozen=True)
class ReportDifference:
    """The mean differences of two networks' accuracies, per task."""

    name: str
    means: tuple[Mean, ...]


def write_report(experiment: Experiment, folders: ExperimentFolders, out: Path) -> list[Path]:
    """Write results.json, the pictures and README.md into `out`; return what was written.

    Raises
    ------
    ValueError, OSError
        A file of the experiment is missing or damaged, or a file cannot be written.
    """
    first = Cell("xs", 1)
    weights = trained_weights(folders.cell(first))
    data = read_dataset(folders.dataset(LETTERS, 1) / "dataset.toml")
    curves, five, six = (out / f"{name}.png" for name in ("curves", "figure5", "figure6"))
    draw_mean_curves(
        {title: [_curves(cell) for cell in _cells(experiment, family)]
         for family, title in FAMILIES.items()},
        tuple(TASKS), curves,
    )  # fmt: skip
    draw_cross_weights(weights, five)
    deploy = folders.cell(first) / "models" / "xs" / "deploy.prototxt"
    photographs = Photographs(data.images)
    request = PredictionRequest(
        describe(find("xs", list(TASKS)), data), deploy, weights,
        [image.as_posix() for image in _images(folders)], photographs,
    )  # fmt: skip
    draw_predictions(predictions(request), photographs.upright(SIDE), six)
    page, results = out / "README.md", out / "results.json"
    write_all(
        {
            results: msgspec.json.format(msgspec.json.encode(experiment), indent=1) + b"\n",
            page: report_page(experiment, data, read_choice(out)),
        }
    )
    return [page, results, curves, five, six]


def report_page(experiment: Experiment, data: Dataset, chosen_by: Sequence[CellRecord] = ()) -> str:
    """Return the report's README.md; `chosen_by` are the cells that chose the rate."""
    recipe, settings = Recipe(), experiment.settings
    seeds = len(by_seed(experiment))
    fewer = f" --seeds {seeds}" if seeds != SEEDS else ""
    changed = _changed(experiment)
    return render(
        "miniature.md",
        experiment=experiment,
        command=f"netgen experiment miniature{fewer}{changed}",
        changed=changed,
        versions=", ".join(_version(*item) for item in experiment.cells[0].versions.items()),
        seeds=seeds,
        speculated=min(seeds, SPECULATED_SEEDS),
        findings=findings(experiment),
        columns=COLUMNS,
        tasks=tuple(TASKS),
        rows=[_row(experiment, family) for family in FAMILIES],
        differences=list(_differences(experiment)),
        comparisons=comparisons(experiment),
        costs={c.network: (c.parameters, c.multiply_adds) for c in experiment.cells},
        cross=_cross(experiment),
        near=NEAR,
        chance=", ".join(f"{chance(task.classes, 1):.1%} for {task.name}" for task in data.tasks),
        trained=data.train.records,
        tested=data.test.records,
        shape=" ".join(SHAPE),
        pretraining=settings.pretraining,
        batch=recipe.batch_size,
        momentum=recipe.momentum,
        decay=recipe.weight_decay,
        rate=RATE,
        rates=", ".join(map(str, RATES)),
        chosen_by=chosen_by,
        means=means(chosen_by),
        drops=" and ".join(f"{at:,}" for at in drops(settings.iterations)),
        choosing=", ".join(CHOOSING),
    )


def _version(name: str, version: str) -> str:
    return f"{name} {version.removeprefix(f'{name} version ')}"


def _changed(experiment: Experiment) -> str:
    iterations = experiment.settings.iterations
    return f" --iterations {iterations}" if iterations != ITERATIONS else ""


def _cells(experiment: Experiment, family: str) -> list[CellRecord]:
    names = SINGLE.values() if family == "single" else (family,)
    return [cell for name in names for cell in experiment.of(name)]


def _row(experiment: Experiment, family: str) -> ReportRow:
    cells, seeds = _cells(experiment, family), by_seed(experiment)
    first = {cell.network: cell for cell in cells}.values()
    return ReportRow(
        FAMILIES[family],
        tuple(mean([accuracy(family, task, k)(seed) for seed in seeds]) for task, k in COLUMNS),
        sum(cell.parameters for cell in first),
        sum(cell.multiply_adds for cell in first),
        sum(cell.seconds for cell in cells) / len(seeds),
    )


def _differences(experiment: Experiment) -> Iterator[ReportDifference]:
    seeds = by_seed(experiment)
    for better, worse in PAIRS:
        means = [
            mean([less(accuracy(better, task), accuracy(worse, task))(seed) for seed in seeds])
            for task in TASKS
        ]
        yield ReportDifference(f"{FAMILIES[better]} - {FAMILIES[worse]}", tuple(means))


def _curves(cell: CellRecord) -> dict[str, list[tuple[int, float]]]:
    return {
        task: [(iteration, 100 * share) for iteration, share in points]
        for task, points in cell.curves.items()
    }


def _cross(experiment: Experiment) -> dict[str, str]:
    found = [cell.cross for cell in experiment.of("xs") if cell.cross]
    total = sum(cross.total for cross in found)
    shares = {
        name: f"{100 * sum(getattr(cross, name) for cross in found) / total:.1f}"
        for name in ("not_negative", "near_zero", "near_one")
    }
    return shares | {"magnitude": f"{np.mean([cross.magnitude for cross in found]):.3f}"}


def _images(folders: ExperimentFolders) -> Iterator[Path]:
    """Yield the first test images of seed 1 that share no noun and no adjective."""
    seen: set[str] = set()
    for row in read_list(folders.dataset(LETTERS, 1) / "records.csv"):
        if row["split"] == "test" and not {row["class:noun"], row["class:adj"]} & seen:
            seen |= {row["class:noun"], row["class:adj"]}
            yield folders.data / "images" / row["name"]
            if len(seen) == 2 * FIGURE_6_IMAGES:
                return
