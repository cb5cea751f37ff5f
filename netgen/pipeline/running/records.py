"""The results of a study: what each cell came to, in one JSON file, and the choice among trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from netgen.evaluation.results import Count, ResultError, SumScale, impossible, read_result
from netgen.pipeline.study.cells import Cell
from netgen.pipeline.study.study_settings import StudyError
from netgen.system.files import write_all
from netgen.system.json_files import JsonError, OtherVersionError, read_json
from netgen.training.journal import ROUNDED

VERSION = 2  # of the format of results.json
NEAR = 0.01  # a cross weight within this distance of 0 or 1 counts as near it
RESULTS = "results.json"


class Correct(Struct, frozen=True, forbid_unknown_fields=True):
    """How many test images of a task are classified correctly, within the top 1 and the top 5."""

    top1: Count
    top5: Count
    total: Annotated[int, Meta(gt=0)]

    def __post_init__(self) -> None:
        if why := impossible(self.top1, self.top5, self.total):
            raise ValueError(why)


class CrossWeights(Struct, frozen=True, forbid_unknown_fields=True):
    """How many cross weights a trained network has, how many are not negative, or near 0 or 1.

    `magnitude` is the mean of the absolute values.
    """

    total: Annotated[int, Meta(gt=0)]
    not_negative: Count
    near_zero: Count
    near_one: Count
    magnitude: float

    def __post_init__(self) -> None:
        if max(self.not_negative, self.near_zero, self.near_one) > self.total:
            raise ValueError(f"more cross weights of a kind than the {self.total:,} that it has")


class Snapshot(Struct, frozen=True, forbid_unknown_fields=True):
    """A layer's cross weights at an iteration: the share below zero, the mean magnitude."""

    iteration: Count
    negative: float
    magnitude: float


class CellRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """The results of a cell.

    Attributes
    ----------
    name, network, variant, seed, labels, trial, settings
        Which cell: see `netgen.pipeline.study.cells.Trained`.
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
    sums, history
        How large what its blocks add is; block -> its cross weights over the training. Where the
        study asks what goes on inside.
    diverged
        Of a network whose training diverged, at which iteration and how: it classifies no image
        correctly, and has no weights. None of any other.
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
    sums: tuple[SumScale, ...] = ()
    history: dict[str, Annotated[list[Snapshot], Meta(min_length=1)]] = {}
    diverged: str | None = None

    def __post_init__(self) -> None:
        if others := sorted(set(self.curves) ^ set(self.tasks)):
            raise ValueError(f"its tasks and its curves are not of the same tasks: {others[0]!r}")
        for task, points in self.curves.items():
            if any(not 0 <= share <= 1 + ROUNDED for _, share in points):
                raise ValueError(f"the accuracies of {task!r} in curves are not between 0 and 1")

    def differs_from(self, cell: Cell) -> str:
        """Return what is not as a study has the cell: the first such field or setting, or ""."""
        trained = cell.trained
        if trained is None:
            return "kind"
        if self.name != cell.name:
            return "name"
        for field in ("network", "variant", "seed", "trial", "labels"):
            if getattr(trained, field) != getattr(self, field):
                return field
        now = msgspec.to_builtins(trained.settings.given())
        names = (*now, *self.settings)
        return next((name for name in names if now.get(name) != self.settings.get(name)), "")

    def correct(self, task: str, k: int) -> int | str:
        """Return how many images are correct within the top k; "" for a task it does not have."""
        if task not in self.tasks:
            return ""
        return self.tasks[task].top1 if k == 1 else self.tasks[task].top5

    def accuracy(self, task: str, k: int = 1) -> float:
        """Return the top-k accuracy of a task, in percent."""
        counts = self.tasks[task]
        return 100 * (counts.top1 if k == 1 else counts.top5) / counts.total

    @property
    def percents(self) -> dict[str, list[tuple[int, float]]]:
        """Task -> iteration and top-1 accuracy, in percent, of each test during training."""
        return {
            task: [(iteration, 100 * share) for iteration, share in points]
            for task, points in self.curves.items()
        }


class DatasetFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset of a study: task -> classes, images, and checksums of its two lists."""

    tasks: dict[str, Annotated[int, Meta(gt=0)]]
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


def in_order(cells: Iterable[CellRecord]) -> tuple[CellRecord, ...]:
    """Return cells in the order that results have them in, wherever they were made."""
    return tuple(
        sorted(cells, key=lambda c: (c.trial or "", c.network, *c.labels.values(), c.seed))
    )


# ---- the file ------------------------------------------------------------------------------------


def write_results(results: StudyResults, file: Path) -> None:
    """Write the results of a study as JSON."""
    write_all({file: msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"})


def read_results(file: Path) -> StudyResults:
    """Read the results of a study.

    Raises
    ------
    StudyError
        The file is missing, damaged, of another version, or a result of `netgen eval`.
    """
    try:
        return read_json(file, StudyResults, VERSION)
    except OSError as error:
        raise StudyError(f"{file}: {error.strerror}: `netgen study report` writes it") from None
    except JsonError as error:
        if _is_result(file):
            raise StudyError(
                f"{file}: one network's result, of `netgen eval`: name a {RESULTS}, which `netgen"
                " study report` writes"
            ) from None
        if isinstance(error, OtherVersionError):
            raise StudyError(
                f"{file}: results in {error}: make them again with `netgen study report`"
            ) from None
        raise StudyError(f"{file}: not a study's results ({error})") from None


def _is_result(file: Path) -> bool:
    try:
        read_result(file)
    except ResultError:
        return False
    return True


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
