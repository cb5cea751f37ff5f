"""Results of `netgen eval` as a page shows them, and the tasks that several of them share."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import Raw, Struct

from netgen.evaluation.results import Result, ResultError, TaskResult, read_result
from netgen.system.json_files import JsonError, read_json


class _StudyResults(Struct):
    """What tells the results of a study from a result."""

    study: str
    cells: tuple[Raw, ...]


@dataclass(frozen=True)
class PagedResult:
    """A result, the file that it is in, and what the page calls its network."""

    name: str
    file: Path
    result: Result


@dataclass(frozen=True)
class SharedTask:
    """A task, and the results of those networks that were tested on the same images of it.

    `task` is the first network's result at it: what it says of classes holds for all.
    """

    dataset: str
    task: TaskResult
    networks: tuple[PagedResult, ...]

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name

    @property
    def results(self) -> list[TaskResult]:
        """Each network's result at the task."""
        return [one.result.task(self.name) for one in self.networks]

    def class_name(self, label: int) -> str:
        """Return a class's name, or its number where the dataset has no names."""
        return self.task.names[label] if self.task.names else str(label)


def read_paged_results(paths: Sequence[Path]) -> list[PagedResult]:
    """Read results: files, and all in folders.

    Raises
    ------
    ResultError
        A folder has none, or a file is no result, of another version, or damaged.
    """
    files = list(dict.fromkeys(file for path in paths for file in _files(path)))
    results = [_read(file) for file in files]
    variants = Counter((result.variant, result.dataset) for result in results)
    stems = Counter(file.stem for file in files)

    def name(file: Path, result: Result) -> str:
        if variants[result.variant, result.dataset] == 1:
            return result.variant
        return f"{result.variant} ({file.stem if stems[file.stem] == 1 else file.as_posix()})"

    return [PagedResult(name(*one), *one) for one in zip(files, results, strict=True)]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.json"))
    if not found:
        raise ResultError(
            f"{path}: no result in it (*.json): write one there with `netgen eval --weights RUN"
            f" --out {path}/NAME.json`"
        )
    return found


def _read(file: Path) -> Result:
    try:
        return read_result(file)
    except ResultError:
        if _is_of_a_study(file):
            raise ResultError(
                f"{file}: results of a study, not of `netgen eval`: show them with `netgen page"
                f" study {shlex.quote(file.parent.as_posix())} --out FILE`"
            ) from None
        raise


def _is_of_a_study(file: Path) -> bool:
    """Return whether a file that is no result has what `netgen study report` writes."""
    try:
        read_json(file, _StudyResults)
    except (OSError, JsonError):
        return False
    return True


def shared_tasks(results: Sequence[PagedResult]) -> list[SharedTask]:
    """Return the tasks of all results; one for those that were tested on the same images."""
    groups: dict[object, list[tuple[PagedResult, TaskResult]]] = {}
    for one in results:
        for task in one.result.tasks:
            totals = tuple(of.total for of in task.of_class)
            key = (one.result.dataset, task.name, task.classes, task.names, totals)
            groups.setdefault(key, []).append((one, task))
    return [
        SharedTask(group[0][0].result.dataset, group[0][1], tuple(one for one, _ in group))
        for group in groups.values()
    ]
