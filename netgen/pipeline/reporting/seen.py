"""The results of a study at one place in the grid of its axes, seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netgen.pipeline.reporting.statistics import Mean, mean
from netgen.pipeline.running.records import CellRecord, StudyResults
from netgen.pipeline.study.study_file import Study, groups_of, title_of
from netgen.pipeline.study.study_settings import StudyError

OneSeed = Mapping[str, CellRecord]  # the cells of one seed, by network
Number = Callable[[OneSeed], float]
Setting = dict[str, str]  # axis -> label: one place in the grid of the axes


@dataclass(frozen=True)
class Seen:
    """The results of a study at one place in the grid of its axes.

    Attributes
    ----------
    study, setting
        The study, and the place: axis -> label.
    cells
        Seed -> network -> its cell there. A network that does not vary along an axis has the same
        cell at all of the axis' labels.
    """

    study: Study
    setting: Setting
    cells: dict[int, dict[str, CellRecord]]

    def seeds(self, *groups: str) -> list[OneSeed]:
        """Return the cells of each seed that has all networks of these groups."""
        needed = {name for group in groups for name in groups_of(self.study)[group]}
        return [cells for _, cells in sorted(self.cells.items()) if needed <= {*cells}]

    def tasks(self, *groups: str) -> list[str]:
        """Return the tasks that all of these groups have, in their order."""
        found: list[dict[str, None]] = []
        for group in groups:
            names = groups_of(self.study)[group]
            cells = [
                cells[name] for cells in self.cells.values() for name in names if name in cells
            ]
            found.append(dict.fromkeys(task for cell in cells for task in cell.tasks))
        return [task for task in found[0] if all(task in each for each in found)]

    def accuracy(self, group: str, task: str, k: int = 1) -> Number:
        """Return a group's top-k accuracy of a task, in percent; a `StudyError` without one."""
        names = groups_of(self.study)[group]

        def number(seed: OneSeed) -> float:
            for name in names:
                if task in seed[name].tasks:
                    return seed[name].accuracy(task, k)
            tasks = ", ".join(task for name in names for task in seed[name].tasks)
            raise StudyError(f"{self.study.name}: {group} has no task {task!r}, but {tasks}")

        return number

    def values(self, better: str, worse: str, task: str) -> list[float]:
        """Return the difference of two groups' accuracies, of each seed that both have."""
        number = less(self.accuracy(better, task), self.accuracy(worse, task))
        return [number(seed) for seed in self.seeds(better, worse)]

    def difference(self, better: str, worse: str, task: str) -> Mean | None:
        """Return the mean difference of two groups' accuracies; None without a seed of both."""
        values = self.values(better, worse, task)
        return mean(values) if values else None


def seen_at(study: Study, results: StudyResults, setting: Setting) -> Seen:
    """Return the results at one place in the grid."""
    cells: dict[int, dict[str, CellRecord]] = {}
    for cell in results.deciding:
        if all(setting.get(axis) == label for axis, label in cell.labels.items()):
            cells.setdefault(cell.seed, {})[cell.network] = cell
    return Seen(study, setting, cells)


def curve_cells(seen: Seen) -> dict[str, list[CellRecord]]:
    """Return title -> cells, by seed, of each group whose learning curves are drawn."""
    found = {}
    for group in seen.study.report.curves:
        names = groups_of(seen.study)[group]
        cells = [cells[name] for cells in seen.seeds(group) for name in names]
        if cells:
            found[title_of(seen.study, group)] = cells
    return found


def name_of(setting: Setting) -> str:
    """Return a place's name, "" where there are no axes."""
    return ", ".join(f"{axis} {label}" for axis, label in setting.items())


def less(better: Number, worse: Number, share: float = 1.0, plus: float = 0.0) -> Number:
    """Return the difference of two numbers of a seed: ``share x better - worse + plus``."""
    return lambda seed: share * better(seed) - worse(seed) + plus
