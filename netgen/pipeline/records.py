"""The results of a cell, of the experiment, and of choosing the rate, as JSON with counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct

from netgen.caffe.schema import read_net
from netgen.cost.complexity import count
from netgen.evaluation.results import Count, TaskResult, read_result
from netgen.figures.cross_weights import NoCrossWeightsError, cross_weights
from netgen.pipeline.miniature import Cell, ExperimentError, ExperimentSettings
from netgen.pipeline.parts import result_file, trained_weights
from netgen.system.files import digest, read_json, write_all
from netgen.system.machine import commit
from netgen.training.journal import read_journal
from netgen.training.run_folder import RunFolder

T = TypeVar("T")
VERSION = 1  # of the format of results.json
NEAR = 0.01  # a cross weight within this distance of 0 or 1 counts as near it


class Correct(Struct, frozen=True, forbid_unknown_fields=True):
    """How many test images of a task are classified correctly, within the top 1 and the top 5."""

    top1: Count
    top5: Count
    total: Annotated[int, Meta(gt=0)]


class CrossWeights(Struct, frozen=True, forbid_unknown_fields=True):
    """How many cross weights a trained network has, how many are not negative, or near 0 or 1.

    `magnitude` is the mean of the absolute values.
    """

    total: Annotated[int, Meta(gt=0)]
    not_negative: Count
    near_zero: Count
    near_one: Count
    magnitude: float


class CellRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """The results of a cell.

    Attributes
    ----------
    network, seed, rate
        Which cell.
    tasks
        Task -> correctly classified test images.
    curves
        Task -> iteration and top-1 accuracy of each test during training.
    cross
        The cross weights; None for a network without.
    parameters, multiply_adds
        Elements of all blobs; multiply-adds per image.
    seconds
        The time of training with its tests, while other cells were trained at the same time.
    weights
        SHA-256 of the trained caffemodel, which contains its databases' paths, too.
    commit, versions
        The commit of netgen, and the versions of the libraries.
    """

    network: str
    seed: Annotated[int, Meta(gt=0)]
    rate: float
    tasks: dict[str, Correct]
    curves: dict[str, list[tuple[int, float]]]
    cross: CrossWeights | None
    parameters: Count
    multiply_adds: Count
    seconds: float
    weights: str
    commit: str
    versions: dict[str, str]

    @property
    def name(self) -> str:
        """As the command line takes it."""
        return f"{self.network}-{self.seed}"

    def correct(self, task: str, k: int) -> int | str:
        """Return how many images are correct within the top k; "" for a task it does not have."""
        if task not in self.tasks:
            return ""
        return self.tasks[task].top1 if k == 1 else self.tasks[task].top5

    def accuracy(self, task: str, k: int = 1) -> float:
        """Return the top-k accuracy of a task, in percent."""
        counts = self.tasks[task]
        return 100 * (counts.top1 if k == 1 else counts.top5) / counts.total


class Experiment(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole experiment: its settings, machine and cells.

    `seconds` is the time that it took, over all resumes.
    """

    version: int
    machine: str
    seconds: float
    jobs: Count
    settings: ExperimentSettings
    cells: tuple[CellRecord, ...]

    @property
    def commits(self) -> list[str]:
        """The commits of netgen that made the cells."""
        return list(dict.fromkeys(cell.commit for cell in self.cells))

    def of(self, network: str) -> list[CellRecord]:
        """Return a network's cells, by seed."""
        return sorted((c for c in self.cells if c.network == network), key=lambda c: c.seed)


def record_cell(cell: Cell, folder: Path) -> CellRecord:
    """Collect the results of a cell from the files of its commands; write them into its folder."""
    found, weights = read_result(result_file(folder)), trained_weights(folder)
    journal = read_journal(RunFolder(folder / "run").journal)
    deploy = folder / "models" / cell.compared.variant / "deploy.prototxt"
    record = CellRecord(
        network=cell.network,
        seed=cell.seed,
        rate=cell.rate,
        tasks={task.name: _correct(task) for task in found.tasks},
        curves={
            task.name: [
                (e["iteration"], e["outputs"][f"top1_{task.name}"])
                for e in journal
                if e["event"] == "test"
            ]
            for task in found.tasks
        },
        cross=_cross(weights),
        parameters=found.parameters,
        multiply_adds=count(read_net(deploy), "TEST").multiply_adds_per_image,
        seconds=next(e["seconds"] for e in reversed(journal) if e["event"] == "end"),
        weights=digest(weights),
        commit=commit(),
        versions=found.versions,
    )
    write_all({_file(folder): msgspec.json.format(msgspec.json.encode(record))})
    return record


def recorded_cell(folder: Path) -> CellRecord | None:
    """Return the results of the cell in that folder; None until it is done."""
    file = _file(folder)
    return _decoded(file, CellRecord) if file.exists() else None


def read_experiment(file: Path) -> Experiment:
    """Read an experiment's results.json.

    Raises
    ------
    ExperimentError
        The file is missing or damaged.
    """
    try:
        return msgspec.json.decode(read_json(file), type=Experiment)
    except OSError as error:
        raise ExperimentError(f"{file}: {error.strerror}: `netgen experiment` writes it") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExperimentError(f"{file}: not an experiment's results ({error})") from None


def _decoded(file: Path, kind: type[T]) -> T:
    """Read what an experiment wrote; an `ExperimentError` when it is damaged."""
    try:
        return msgspec.json.decode(read_json(file), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExperimentError(
            f"{file}: not what `netgen experiment` writes ({error}): remove it, and --resume"
        ) from None


def _file(folder: Path) -> Path:
    return folder / "cell.json"


def _correct(task: TaskResult) -> Correct:
    top1, top5 = task.accuracy.top1, task.accuracy.top5
    return Correct(top1.correct, top5.correct, top1.total)


def _cross(weights: Path) -> CrossWeights | None:
    try:
        found = cross_weights(weights, own=False)
    except NoCrossWeightsError:
        return None
    every = np.concatenate([w for layer in found.values() for w in layer.values()])
    return CrossWeights(
        total=every.size,
        not_negative=int((every >= 0).sum()),
        near_zero=int((np.abs(every) < NEAR).sum()),
        near_one=int((np.abs(every - 1) < NEAR).sum()),
        magnitude=float(np.abs(every).mean()),
    )


# ---- how the rate was chosen: the results of each on held-out training images -------------------

CHOOSING_FILE = "choosing.json"


def write_choice(cells: Sequence[CellRecord], out: Path) -> Path:
    """Write the cells that choose the rate into `out`; return the file."""
    file = out / CHOOSING_FILE
    write_all({file: msgspec.json.format(msgspec.json.encode(cells), indent=1) + b"\n"})
    return file


def read_choice(out: Path) -> list[CellRecord]:
    """Return the cells that chose the rate; none if the file is not there.

    Raises
    ------
    ValueError
        The file is damaged.
    """
    file = out / CHOOSING_FILE
    return _decoded(file, list[CellRecord]) if file.exists() else []


def means(cells: Iterable[CellRecord]) -> dict[float, float]:
    """Return rate -> the mean, over networks, of their tasks' mean top-1 accuracy, in percent."""
    found: dict[float, list[float]] = {}
    for cell in cells:
        found.setdefault(cell.rate, []).append(fmean(cell.accuracy(task) for task in cell.tasks))
    return {rate: fmean(values) for rate, values in found.items()}
