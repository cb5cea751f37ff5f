"""What goes on in a study's networks: learning curves, cross weights' courses, sizes of sums.

Where a study has many places, those with the same label of its longest axis are taken together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from netgen.evaluation.results import SumScale
from netgen.pipeline.reporting.seen import Seen, curve_cells, name_of, seen_at
from netgen.pipeline.running.records import CellRecord, Snapshot, StudyResults
from netgen.pipeline.study.study_file import Study, settings_of, title_of

MOST_PLACES = 4  # that are shown one by one
Range = tuple[float, float, float]  # mean, least, most


@dataclass(frozen=True)
class SumRow:
    """How large what a network's blocks add is, at a slice of the study: means of tasks and cells.

    `cross` is the mean of one other task's shortcut, weighted; None in a network without.
    """

    slice: str
    network: str
    block: str
    own: float
    branch: float
    cross: float | None
    after: Range


def longest_axis(study: Study) -> str | None:
    """Return the axis with most labels, the last of equal ones; None without axes."""
    return max(reversed(study.axes), key=lambda axis: len(study.axes[axis]), default=None)


def slices(study: Study, results: StudyResults) -> dict[str, list[CellRecord]]:
    """Return the cells of each place or, where these are many, of each label of the longest axis.

    Only those of which it is kept what goes on inside.
    """
    settings = settings_of(study)
    axis = longest_axis(study)
    found: dict[str, dict[str, CellRecord]] = {}
    for setting in settings:
        many = axis is not None and len(settings) > MOST_PLACES
        name = f"{axis} {setting[axis]}" if many and axis else name_of(setting)
        for cells in seen_at(study, results, setting).cells.values():
            for cell in cells.values():
                if cell.sums or cell.history:
                    found.setdefault(name, {})[cell.name] = cell
    return {name: [*cells.values()] for name, cells in found.items()}


def sum_rows(study: Study, results: StudyResults) -> list[SumRow]:
    """Return the sizes of sums: slice by slice, network by network, block by block."""
    return [
        _row(name, _title(study, network), block, of)
        for name, cells in slices(study, results).items()
        for network in study.report.inside
        for block, of in _blocks(cell for cell in cells if cell.network == network).items()
    ]


def _blocks(cells: Iterable[CellRecord]) -> dict[str, list[SumScale]]:
    found: dict[str, list[SumScale]] = {}
    for cell in cells:
        for each in cell.sums:
            found.setdefault(each.block, []).append(each)
    return found


def _row(name: str, network: str, block: str, sums: Sequence[SumScale]) -> SumRow:
    cross = [value for each in sums for value in each.cross]
    return SumRow(
        name, network, block, fmean(each.own for each in sums), fmean(each.branch for each in sums),
        fmean(cross) if cross else None, range_of([each.after for each in sums]),
    )  # fmt: skip


QUANTITIES: dict[str, Callable[[Snapshot], float]] = {
    "below zero, %": lambda point: 100 * point.negative,
    "mean magnitude": lambda point: point.magnitude,
}
Lines = dict[str, list[tuple[int, Range]]]  # name -> iteration and values, in order


def courses(study: Study, results: StudyResults) -> dict[str, dict[str, Lines]]:
    """Return slice -> each of `QUANTITIES` -> the lines of the cross weights over the training."""
    found: dict[str, dict[str, Lines]] = {}
    for quantity, number in QUANTITIES.items():
        for name, lines in histories(study, results, number).items():
            found.setdefault(name, {})[quantity] = lines
    return found


def histories(
    study: Study, results: StudyResults, number: Callable[[Snapshot], float]
) -> dict[str, Lines]:
    """Return slice -> network and block -> a number of the cross weights at each snapshot."""
    found: dict[str, Lines] = {}
    for name, cells in slices(study, results).items():
        points: dict[str, list[tuple[int, float]]] = {}
        for network in study.report.inside:
            for cell in (cell for cell in cells if cell.network == network):
                for block, history in cell.history.items():
                    line = points.setdefault(f"{_title(study, network)}, res{block}", [])
                    line += [(point.iteration, number(point)) for point in history]
        if points:
            found[name] = {line: _ranges(of) for line, of in points.items()}
    return found


def learning_curves(seen: Seen) -> dict[str, Lines]:
    """Return title -> task -> top-1 accuracies, in percent, at each test of the training.

    Of the groups whose learning curves the study draws; the range is that over seeds.
    """
    found = {}
    for title, cells in curve_cells(seen).items():
        points: dict[str, list[tuple[int, float]]] = {}
        for cell in cells:
            for task, curve in cell.percents.items():
                points.setdefault(task, []).extend(curve)
        found[title] = {task: _ranges(of) for task, of in points.items() if of}
    return found


def _ranges(points: Sequence[tuple[int, float]]) -> list[tuple[int, Range]]:
    """Return the range of the values at each iteration, in order."""
    values: dict[int, list[float]] = {}
    for at, value in points:
        values.setdefault(at, []).append(value)
    return [(at, range_of(values[at])) for at in sorted(values)]


def range_of(values: Sequence[float]) -> Range:
    """Return the mean of values, the least and the most."""
    return fmean(values), min(values), max(values)


def _title(study: Study, network: str) -> str:
    return title_of(study, study.networks[network].group or network)
