"""The result of an evaluation: JSON that `netgen eval` writes, and tables and figures read.

A result has no rounded percentages: every accuracy is a number of images and their total.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import NormalDist
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from netgen.system.files import write_all
from netgen.system.json_files import JsonError, OtherVersionError, read_json
from netgen.system.text import check_name

VERSION = 1  # of the file format; increase it when a field changes its meaning or is removed
TOP = 5  # "Top-k accuracy denotes the percentage of correct predictions within the top k" (5.2)

Count = Annotated[int, Meta(ge=0)]


class ResultError(ValueError):
    """A file that is not a result of an evaluation; the message says what to do."""


class Proportion(Struct, frozen=True, forbid_unknown_fields=True):
    """`correct` of `total`, and the interval that holds the true proportion with probability 95%.

    The interval is Wilson's for a binomial proportion: it reflects the number of images, not the
    randomness of training.
    """

    correct: Count
    total: Annotated[int, Meta(gt=0)]
    low: float
    high: float

    @property
    def value(self) -> float:
        """The proportion, 0 to 1."""
        return self.correct / self.total


class Accuracy(Struct, frozen=True, forbid_unknown_fields=True):
    """Top-1 and top-5 accuracy; of fewer than five classes, all are among the top five."""

    top1: Proportion
    top5: Proportion


class CloseCalls(Struct, frozen=True, forbid_unknown_fields=True):
    """Images whose result another engine, or another order of equal scores, could change.

    Attributes
    ----------
    ties1, ties5
        Their top-1 or top-5 result depends on the order of equal scores (the lowest index first).
    near1, near5
        The score in the first or fifth place leads the next by at most `MARGIN`.
    """

    ties1: Count
    ties5: Count
    near1: Count
    near5: Count


class ClassResult(Struct, frozen=True, forbid_unknown_fields=True):
    """A class's test images, and how many of them were right within the top 1 and the top 5."""

    total: Count
    top1: Count
    top5: Count


class Confusion(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How many images of class `truth` had class `guess` in the first place."""

    truth: Count
    guess: Count
    count: Annotated[int, Meta(gt=0)]


class Competition(Struct, frozen=True, forbid_unknown_fields=True):
    """A network with more outputs than the task has classes, all of them competing."""

    outputs: int
    accuracy: Accuracy


class TaskResult(Struct, frozen=True, forbid_unknown_fields=True):
    """A network's result at one task.

    Attributes
    ----------
    name, classes
        The task, and how many classes it has.
    names
        The classes' names in label order, where the dataset knows them.
    accuracy
        The accuracy among the outputs that are classes of the task.
    close
        How many of these images are close calls.
    of_class
        The result per class, in label order.
    confusions
        Wrong guesses, the most frequent first.
    prior
        What always guessing the most frequent classes of the training set would score.
    competing
        The same network with all its outputs, where it has more (DeepSentiBank's 2,089).
    """

    name: str
    classes: int
    names: tuple[str, ...] | None
    accuracy: Accuracy
    close: CloseCalls
    of_class: tuple[ClassResult, ...]
    confusions: tuple[Confusion, ...]
    prior: Accuracy
    competing: Competition | None = None


class Derived(Struct, frozen=True, forbid_unknown_fields=True):
    """A baseline: a task solved by the outputs for other tasks.

    A pair's probability is its noun's times its adjective's, among the pairs there are; a noun's is
    the sum of its pairs'.
    """

    task: str
    sources: tuple[str, ...]
    accuracy: Accuracy


class FileUsed(Struct, frozen=True, forbid_unknown_fields=True):
    """A file that the result depends on."""

    path: str
    sha256: str


class SumScale(Struct, frozen=True, forbid_unknown_fields=True):
    """How large what a block of a task's adds is: root mean squares over the test images.

    Attributes
    ----------
    block, task
        Such as "5b" and "noun".
    own, branch
        Its own shortcut, and what its branch computes.
    cross
        Each other task's shortcut, weighted; nothing in a network without cross-residuals.
    after
        The sum, after its ReLU.
    """

    block: str
    task: str
    own: float
    branch: float
    cross: tuple[float, ...]
    after: float


class Result(Struct, frozen=True, forbid_unknown_fields=True):
    """The result of an evaluation.

    Attributes
    ----------
    version
        The file format's: `VERSION`.
    variant
        As in `netgen list`.
    dataset, records
        The dataset's name, and how many test images it has; each counted once.
    network, weights
        The deploy prototxt and the caffemodel.
    parameters
        Elements of all the network's blobs, as Table 2 counts them.
    engine, versions
        The engine of the scores; the programs' and packages' versions.
    tasks
        In the dataset's order.
    derived
        Baselines.
    sums
        How large what the tasks' blocks add is, where that was asked for.
    """

    version: int
    variant: str
    dataset: str
    records: int
    network: FileUsed
    weights: FileUsed
    parameters: int
    engine: str
    versions: dict[str, str]
    tasks: tuple[TaskResult, ...]
    derived: tuple[Derived, ...] = ()
    sums: tuple[SumScale, ...] = ()

    def task(self, name: str) -> TaskResult:
        """Return the result for the task of that name; KeyError when there is none."""
        return {task.name: task for task in self.tasks}[name]


def proportion(correct: int, total: int) -> Proportion:
    """Return a proportion with Wilson's 95% interval; `total` is positive."""
    z = NormalDist().inv_cdf(0.975)
    p, shrunk = correct / total, 1 + z * z / total
    middle = (p + z * z / (2 * total)) / shrunk
    half = z / shrunk * (p * (1 - p) / total + z * z / (4 * total * total)) ** 0.5
    return Proportion(correct, total, max(0.0, middle - half), min(1.0, middle + half))


def accuracy(top1: int, top5: int, total: int) -> Accuracy:
    """Return the accuracy of `top1` and `top5` images, of `total`, right within the top 1 and 5."""
    return Accuracy(proportion(top1, total), proportion(top5, total))


def write_result(result: Result, file: Path, beside: Mapping[Path, bytes] | None = None) -> None:
    """Write `result` to `file`, and other files `beside` it, all completely or none at all.

    Raises
    ------
    OSError
        The file could not be written; an existing file is unchanged.
    """
    write_all({file: msgspec.json.encode(result) + b"\n", **(beside or {})})


def read_result(file: Path) -> Result:
    """Read what `write_result` wrote.

    Raises
    ------
    ResultError
        The file is missing, not a result, of another version, or contradicts itself.
    """
    try:
        result = read_json(file, Result, VERSION)
    except OSError as error:
        raise ResultError(f"{file}: {error.strerror}: make one with `netgen eval`") from None
    except OtherVersionError as error:
        raise ResultError(
            f"{file}: a result in {error}: make it again with `netgen eval`"
        ) from None
    except JsonError as error:
        raise ResultError(
            f"{file}: not a result of `netgen eval` ({error}): give the file that --out named"
        ) from None
    for task in result.tasks:
        for name in (task.name, *(task.names or ())):
            check_name(name, str(file), ResultError)
    for what in _wrong(result):
        raise ResultError(f"{file}: a damaged result ({what}): make it again with `netgen eval`")
    return result


def impossible(top1: int, top5: int, total: int) -> str | None:
    """Return in words why so many of `total` images cannot be right; None if they can."""
    if top1 <= top5 <= total:
        return None
    return f"{top1:,} of {total:,} images right within the top 1, {top5:,} within the top 5"


def _wrong(result: Result) -> Iterator[str]:
    """Yield what in a result contradicts the rest of it."""
    for name, times in Counter(task.name for task in result.tasks).items():
        if times > 1:
            yield f"the task {name!r} more than once"
    found = {task.name: task.accuracy for task in result.tasks}
    derived = {f"{one.task} of {', '.join(one.sources)}": one.accuracy for one in result.derived}
    for name, accuracy in (found | derived).items():
        top1, top5 = accuracy.top1, accuracy.top5
        if {top1.total, top5.total} != {result.records}:
            yield f"{name}: of {top1.total:,} and {top5.total:,} images, not {result.records:,}"
        if why := impossible(top1.correct, top5.correct, top1.total):
            yield f"{name}: {why}"
    for task in result.tasks:
        yield from (f"{task.name}: {what}" for what in _wrong_classes(task))


def _wrong_classes(task: TaskResult) -> Iterator[str]:
    """Yield what in a result contradicts its number of classes, or its counts of all of them."""
    if task.names is not None and len(task.names) != task.classes:
        yield f"{len(task.names):,} names of {task.classes:,} classes"
    if len(task.of_class) not in (0, task.classes):
        yield f"counts of {len(task.of_class):,} of {task.classes:,} classes"
    outside = [x for one in task.confusions if (x := max(one.truth, one.guess)) >= task.classes]
    if outside:
        yield f"class {outside[0]:,} of {task.classes:,} (0 to {task.classes - 1:,})"
    for number, one in enumerate(task.of_class):
        if why := impossible(one.top1, one.top5, one.total):
            yield f"class {number}: {why}"
    top1, top5 = task.accuracy.top1, task.accuracy.top5
    told = {"images": top1.total, "top 1": top1.correct, "top 5": top5.correct}
    each = ([one.total, one.top1, one.top5] for one in task.of_class)
    for (what, count), counts in zip(told.items(), zip(*each, strict=True), strict=False):
        if sum(counts) != count:
            yield f"{what}: {count:,}, but {sum(counts):,} over its classes"
