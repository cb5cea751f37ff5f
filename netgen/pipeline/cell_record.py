"""What came of a cell, of the experiment, and of choosing the rate: JSON, with counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct

from netgen.caffe.schema import read_net
from netgen.cost.complexity import count
from netgen.evaluation.results import TaskResult, read_result
from netgen.figures.cross_weights import NoCrossWeightsError, cross_weights
from netgen.pipeline.cells import Cell, ExperimentError
from netgen.pipeline.miniature import Settings
from netgen.pipeline.steps import result, trained
from netgen.system.files import digest, write_all
from netgen.system.machine import commit
from netgen.training.journal import read_journal
from netgen.training.run_folder import RunFolder

VERSION = 1  # of the experiment's form
Count = Annotated[int, Meta(ge=0)]
NEAR = 0.01  # how near to zero or one a cross weight is counted there


class Correct(Struct, frozen=True, forbid_unknown_fields=True):
    """Test images of a task that were right within the top 1 and the top 5, of so many."""

    top1: Count
    top5: Count
    total: Annotated[int, Meta(gt=0)]


class CrossWeights(Struct, frozen=True, forbid_unknown_fields=True):
    """A trained network's cross weights: how many, how many of them not negative, and near 0 or 1.

    `magnitude` is the mean of their absolute values.
    """

    total: Annotated[int, Meta(gt=0)]
    not_negative: Count
    near_zero: Count
    near_one: Count
    magnitude: float


class CellRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """What came of a cell.

    Attributes
    ----------
    network, seed, rate
        Which.
    tasks
        Task -> what it got right of the test images.
    curves
        Task -> iteration and top-1 accuracy of each test during training.
    cross
        Of networks with cross weights.
    parameters, multiply_adds
        Elements of all blobs; multiply-adds an image.
    seconds
        Of training, tests included, beside another.
    weights
        SHA-256 of the trained caffemodel, which names its databases' paths, too.
    commit, versions
        Of netgen, and of what computed it.
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

    def right(self, task: str, k: int) -> int | str:
        """Return how many images were right within the top k; empty where it is not its task."""
        if task not in self.tasks:
            return ""
        return self.tasks[task].top1 if k == 1 else self.tasks[task].top5

    def accuracy(self, task: str, k: int = 1) -> float:
        """Return the top-k accuracy of a task, in percent."""
        of = self.tasks[task]
        return 100 * (of.top1 if k == 1 else of.top5) / of.total


class Experiment(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole experiment: what it was made with and on, and its cells.

    `seconds` is the time that it took, over all resumes.
    """

    version: int
    machine: str
    seconds: float
    jobs: Count
    settings: Settings
    cells: tuple[CellRecord, ...]

    @property
    def commits(self) -> list[str]:
        """The commits of netgen that made the cells."""
        return list(dict.fromkeys(cell.commit for cell in self.cells))

    def of(self, network: str) -> list[CellRecord]:
        """Return a network's cells, seed by seed."""
        return sorted((c for c in self.cells if c.network == network), key=lambda c: c.seed)


def gather(cell: Cell, folder: Path) -> CellRecord:
    """Read what the commands of a cell left, and keep it in the cell's folder."""
    found, weights = read_result(result(folder)), trained(folder)
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


def cell_record(folder: Path) -> CellRecord | None:
    """Return what came of the cell of that folder; None while it is not done."""
    file = _file(folder)
    return msgspec.json.decode(file.read_bytes(), type=CellRecord) if file.exists() else None


def read_experiment(file: Path) -> Experiment:
    """Read an experiment's JSON.

    Raises
    ------
    ExperimentError
        The file is missing or damaged.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Experiment)
    except OSError as error:
        raise ExperimentError(f"{file}: {error.strerror}: `netgen experiment` makes it") from None
    except msgspec.DecodeError as error:
        raise ExperimentError(f"{file}: not an experiment's results ({error})") from None


def _file(folder: Path) -> Path:
    return folder / "cell.json"


def _correct(task: TaskResult) -> Correct:
    of = task.accuracy
    return Correct(of.top1.correct, of.top5.correct, of.top1.total)


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


# ---- how the rate was chosen: what each gave on the training images that were kept back ---------

FILE = "choosing.json"


def write_choice(cells: Sequence[CellRecord], out: Path) -> Path:
    """Write the cells by which a rate is chosen into `out`; return the file."""
    file = out / FILE
    write_all({file: msgspec.json.format(msgspec.json.encode(cells), indent=1) + b"\n"})
    return file


def read_choice(out: Path) -> list[CellRecord]:
    """Return the cells by which the rate was chosen; none where they are not at hand.

    Raises
    ------
    ValueError
        The file is damaged.
    """
    file = out / FILE
    return msgspec.json.decode(file.read_bytes(), type=list[CellRecord]) if file.exists() else []


def means(cells: Iterable[CellRecord]) -> dict[float, float]:
    """Return rate -> the mean, over networks, of their tasks' mean top-1 accuracy, in percent."""
    found: dict[float, list[float]] = {}
    for cell in cells:
        found.setdefault(cell.rate, []).append(fmean(cell.accuracy(task) for task in cell.tasks))
    return {rate: fmean(values) for rate, values in found.items()}
