"""What a study's report tells of one place in the grid of its axes: its tables, by the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from netgen.pipeline.reporting.answer import HALF_A_POINT
from netgen.pipeline.reporting.seen import Seen, Setting, name_of, seen_at
from netgen.pipeline.reporting.sentences import NetworkComparison, SentenceFinding, comparisons
from netgen.pipeline.reporting.statistics import Mean, mean, seeds_to_decide
from netgen.pipeline.running.records import NEAR, CellRecord, StudyResults
from netgen.pipeline.study.study_file import AnySentence, Study, groups_of, title_of


@dataclass(frozen=True)
class ReportRow:
    """A group: its mean accuracies, in the order of the columns, and its costs.

    A cell is None for a task that the group does not have.
    """

    name: str
    cells: tuple[Mean | None, ...]
    parameters: int
    multiply_adds: int
    seconds: float


@dataclass(frozen=True)
class ReportDifference:
    """The mean differences of two groups' accuracies, per task; None where one lacks it.

    `seeds` is how many would decide a difference of half a point on each task, by what is seen.
    """

    name: str
    means: tuple[Mean | None, ...]
    seeds: tuple[int | None, ...]


@dataclass(frozen=True)
class Place:
    """What the report says of one place in the grid of the axes; its name is "" without axes.

    `cross` tells of the cross weights; "" without.
    """

    setting: Setting
    name: str
    seeds: int
    findings: list[SentenceFinding]
    tasks: list[str]
    columns: list[tuple[str, int]]
    rows: list[ReportRow]
    differences: list[ReportDifference]
    comparisons: list[NetworkComparison]
    cross: str

    def finding(self, sentence: AnySentence) -> SentenceFinding | None:
        """Return what was found of a sentence here; None where it is not asked yet."""
        return next((each for each in self.findings if each.sentence == sentence), None)


def place_of(
    study: Study, results: StudyResults, setting: Setting, found: list[SentenceFinding]
) -> Place:
    """Return what there is to tell of a place; `found` are its findings."""
    seen = seen_at(study, results, setting)
    reported = _reported(study)
    named = {name for group in reported for name in groups_of(study)[group]}
    cells = [cell for of in seen.cells.values() for name, cell in of.items() if name in named]
    columns = columns_of(cells)
    rows = [row for group in reported if (row := _row(seen, group, columns))]
    tasks = list(dict.fromkeys(task for task, _ in columns))
    return Place(
        setting=setting,
        name=name_of(setting),
        seeds=max((len(seen.seeds(group)) for group in reported), default=0),
        findings=found,
        tasks=tasks,
        columns=columns,
        rows=rows,
        differences=list(_differences(seen, tasks)),
        comparisons=list(comparisons(seen)),
        cross=_cross(seen),
    )


def _reported(study: Study) -> list[str]:
    """Return the groups that have a row of their own: not those of another table, or of none."""
    elsewhere = {
        network.group or name
        for name, network in study.networks.items()
        if network.against or not network.reported
    }
    return [group for group in groups_of(study) if group not in elsewhere]


def _row(seen: Seen, group: str, columns: Sequence[tuple[str, int]]) -> ReportRow | None:
    seeds, tasks = seen.seeds(group), seen.tasks(group)
    if not seeds:
        return None
    names = groups_of(seen.study)[group]
    cells = [cells[name] for cells in seeds for name in names]
    first = {cell.network: cell for cell in cells}.values()
    return ReportRow(
        title_of(seen.study, group),
        tuple(
            mean([seen.accuracy(group, task, k)(seed) for seed in seeds]) if task in tasks else None
            for task, k in columns
        ),
        sum(cell.parameters for cell in first),
        sum(cell.multiply_adds for cell in first),
        sum(cell.seconds for cell in cells) / len(seeds),
    )


def _differences(seen: Seen, tasks: Sequence[str]) -> Iterator[ReportDifference]:
    for better, worse in seen.study.report.differences:
        both = seen.tasks(better, worse)
        found = tuple(
            seen.difference(better, worse, task) if task in both else None for task in tasks
        )
        if any(found):
            name = f"{title_of(seen.study, better)} - {title_of(seen.study, worse)}"
            needed = tuple(
                seeds_to_decide(seen.values(better, worse, task), HALF_A_POINT) if mean else None
                for task, mean in zip(tasks, found, strict=True)
            )
            yield ReportDifference(name, found, needed)


def _cross(seen: Seen) -> str:
    """Tell of the cross weights of the first network of the study that has some."""
    for name in seen.study.networks:
        found = [cells[name].cross for cells in seen.cells.values() if name in cells]
        crosses = [cross for cross in found if cross]
        if crosses:
            total = sum(cross.total for cross in crosses)
            shares = {
                kind: f"{100 * sum(getattr(cross, kind) for cross in crosses) / total:.1f}%"
                for kind in ("not_negative", "near_zero", "near_one")
            }
            return (
                f"Over all seeds of {name}, {shares['not_negative']} of the cross weights are not"
                f" negative (half of them before training); {shares['near_zero']} are within"
                f" {NEAR} of zero, {shares['near_one']} within {NEAR} of one. Their mean magnitude"
                f" is {np.mean([cross.magnitude for cross in crosses]):.3f}."
            )
    return ""


def columns_of(cells: Sequence[CellRecord]) -> list[tuple[str, int]]:
    """Return the columns of accuracies: tasks with 1, then with 5 guesses, the most tasks first."""
    tasks = dict.fromkeys(
        task for cell in sorted(cells, key=lambda c: -len(c.tasks)) for task in cell.tasks
    )
    return [(task, k) for k in (1, 5) for task in tasks]
