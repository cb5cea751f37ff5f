"""The results of a study's cells: read from what their commands wrote, and kept as one JSON file.

This is the one place that reads results: the table, the status, the report and the choice have
theirs from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct

from netgen.caffe.schema import read_net
from netgen.cost.complexity import count
from netgen.evaluation.results import Count, Result, ResultError, TaskResult, read_result
from netgen.figures.cross_weights import NoCrossWeightsError, cross_weights
from netgen.network.dataset import read_dataset
from netgen.pipeline.begun import checksums
from netgen.pipeline.cells import Cell, Trained
from netgen.pipeline.study_file import StudyError
from netgen.pipeline.study_plan import Plan
from netgen.system.files import read_json, write_all
from netgen.system.machine import commit, machine
from netgen.training.journal import read_journal
from netgen.training.run_folder import RunFolder

T = TypeVar("T")
VERSION = 2  # of the format of results.json
NEAR = 0.01  # a cross weight within this distance of 0 or 1 counts as near it
RESULTS = "results.json"


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
    name, network, variant, seed, labels, trial, settings
        Which cell: see `netgen.pipeline.cells.Trained`.
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

    name: str
    network: str
    variant: str
    seed: Annotated[int, Meta(gt=0)]
    labels: dict[str, str]
    trial: str | None
    settings: dict[str, Any]
    tasks: dict[str, Correct]
    curves: dict[str, list[tuple[int, float]]]
    cross: CrossWeights | None
    parameters: Count
    multiply_adds: Count
    seconds: float
    weights: str
    commit: str
    versions: dict[str, str]

    def correct(self, task: str, k: int) -> int | str:
        """Return how many images are correct within the top k; "" for a task it does not have."""
        if task not in self.tasks:
            return ""
        return self.tasks[task].top1 if k == 1 else self.tasks[task].top5

    def accuracy(self, task: str, k: int = 1) -> float:
        """Return the top-k accuracy of a task, in percent."""
        counts = self.tasks[task]
        return 100 * (counts.top1 if k == 1 else counts.top5) / counts.total


class DatasetFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset of a study: task -> classes, images, and checksums of its two lists."""

    tasks: dict[str, int]
    trained: int
    tested: int
    data: dict[str, str]


class StudyResults(Struct, frozen=True, forbid_unknown_fields=True):
    """The results of a whole study.

    `seconds` is the time that its runs took here, over all resumes; `jobs` how many cells were
    made side by side.
    """

    version: int
    study: str
    machine: str
    seconds: float
    jobs: Count
    datasets: dict[str, DatasetFacts]
    cells: tuple[CellRecord, ...]

    @property
    def commits(self) -> list[str]:
        """The commits of netgen that made the cells."""
        return list(dict.fromkeys(cell.commit for cell in self.deciding))

    @property
    def deciding(self) -> list[CellRecord]:
        """The cells that the study is about."""
        return [cell for cell in self.cells if cell.trial is None]

    @property
    def trials(self) -> list[CellRecord]:
        """The cells that choose settings."""
        return [cell for cell in self.cells if cell.trial is not None]

    def of(self, network: str) -> list[CellRecord]:
        """Return a network's cells that decide, by seed."""
        return sorted((c for c in self.deciding if c.network == network), key=lambda c: c.seed)


# ---- cells --------------------------------------------------------------------------------------


def evaluated(cell: Trained, dataset: str, study: str) -> Result | None:
    """Return what `netgen eval` found for a cell; None until it has.

    Raises
    ------
    ResultError
        It is damaged, or of another network or dataset.
    """
    file = cell.files.result
    if not file.exists():
        return None
    result = read_result(file)
    if (result.variant, result.dataset) != (cell.variant, dataset):
        raise ResultError(
            f"{file}: is of {result.variant} on {result.dataset}, but {study} needs"
            f" {cell.variant} on {dataset}: move it elsewhere"
        )
    return result


def recorded(plan: Plan, cell: Cell) -> CellRecord | None:
    """Return the results of a cell; None until it is made.

    Raises
    ------
    StudyError, ValueError
        What its commands wrote is damaged, or of another cell.
    """
    file = _file(plan, cell)
    if file.exists():
        return _decoded(file, CellRecord)
    return _collected(plan, cell) if cell.trained and cell.is_done else None


def record(plan: Plan, cell: Cell) -> None:
    """Keep the results of a cell that was just made by this netgen, on this machine."""
    if cell.trained:
        found = _collected(plan, cell, commit())
        write_all({_file(plan, cell): msgspec.json.format(msgspec.json.encode(found))})


def _file(plan: Plan, cell: Cell) -> Path:
    return plan.work / "records" / f"{cell.name}.json"


def _decoded(file: Path, kind: type[T]) -> T:
    """Read what a study wrote; a `StudyError` when it is damaged."""
    try:
        return msgspec.json.decode(read_json(file), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(
            f"{file}: not what `netgen study` writes ({error}): remove it, and --resume"
        ) from None


def _collected(plan: Plan, cell: Cell, made_by: str = "unknown") -> CellRecord:
    """Collect the results of a cell from the files of its commands."""
    trained = cell.trained
    if trained is None:
        raise StudyError(f"{cell.name} are databases: they have no results")
    found = evaluated(trained, read_dataset(trained.source).name, plan.study.name)
    if found is None:
        raise StudyError(f"{trained.files.result} is not there: --resume makes it")
    journal = read_journal(RunFolder(trained.files.run).journal)
    weights = Path(found.weights.path)
    deploy = trained.files.model / "deploy.prototxt"
    tests = [entry for entry in journal if entry["event"] == "test"]
    return CellRecord(
        name=cell.name,
        network=trained.network,
        variant=trained.variant,
        seed=trained.seed,
        labels=trained.labels,
        trial=trained.trial,
        settings=trained.settings.given(),
        tasks={task.name: _correct(task) for task in found.tasks},
        curves={
            task.name: [(e["iteration"], e["outputs"][f"top1_{task.name}"]) for e in tests]
            for task in found.tasks
        },
        cross=_cross(weights) if weights.exists() else None,
        parameters=found.parameters,
        multiply_adds=count(read_net(deploy), "TEST").multiply_adds_per_image,
        seconds=next((e["seconds"] for e in reversed(journal) if e["event"] == "end"), 0.0),
        weights=found.weights.sha256,
        commit=made_by,
        versions=found.versions,
    )


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


# ---- the whole study ----------------------------------------------------------------------------


def collect(plan: Plan, seconds: float, jobs: int, before: StudyResults | None) -> StudyResults:
    """Return the results of all cells that are made.

    Trials that were made elsewhere are taken from `before`, the results that there were.
    """
    cells = [found for cell in plan.deciding if (found := recorded(plan, cell))]
    trials = [found for cell in plan.trials if (found := recorded(plan, cell))]
    if before and not trials:
        trials = before.trials
    return StudyResults(
        version=VERSION,
        study=plan.study.name,
        machine=machine(),
        seconds=round(seconds, 1),
        jobs=jobs,
        datasets=_facts(plan),
        cells=tuple(sorted((*cells, *trials), key=lambda cell: (cell.trial or "", cell.network,
                                                                *cell.labels.values(), cell.seed))),
    )  # fmt: skip


def _facts(plan: Plan) -> dict[str, DatasetFacts]:
    used: dict[str, Trained] = {}
    for cell in plan.deciding:
        if cell.trained and cell.trained.dataset.exists():
            used.setdefault(str(cell.trained.settings.dataset), cell.trained)
    return {name: _facts_of(trained) for name, trained in used.items()}


def _facts_of(cell: Trained) -> DatasetFacts:
    data = read_dataset(cell.dataset)
    tasks = {task.name: task.classes for task in data.tasks}
    return DatasetFacts(tasks, data.train.records, data.test.records, checksums(cell.source))


def write_results(results: StudyResults, file: Path) -> None:
    """Write the results of a study as JSON."""
    write_all({file: msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"})


def read_results(file: Path) -> StudyResults:
    """Read the results of a study.

    Raises
    ------
    StudyError
        The file is missing, damaged, or of another version.
    """
    try:
        content = read_json(file)
        version = msgspec.json.decode(content, type=_Versioned).version
        if version != VERSION:
            raise StudyError(
                f"{file}: results in format {version}, but this netgen reads {VERSION}: make them"
                " again with `netgen study report`"
            )
        return msgspec.json.decode(content, type=StudyResults)
    except OSError as error:
        raise StudyError(f"{file}: {error.strerror}: `netgen study report` writes it") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(f"{file}: not a study's results ({error})") from None


class _Versioned(Struct):
    version: int


def means(cells: Iterable[CellRecord]) -> dict[str, float]:
    """Return trial -> the mean, over its cells, of their tasks' mean top-1 accuracy, in percent."""
    found: dict[str, list[float]] = {}
    for cell in cells:
        value = fmean(cell.accuracy(task) for task in cell.tasks)
        found.setdefault(str(cell.trial), []).append(value)
    return {trial: fmean(values) for trial, values in found.items()}


def best(values: Mapping[str, float], order: Sequence[str]) -> str:
    """Return the trial with the best mean; of equal ones, the first in the study."""
    return max(order, key=lambda trial: (values[trial], -order.index(trial)))
