"""The report of a study: README.md, results.json and pictures, from its file and its results."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netgen.network.render import render
from netgen.paper.implied import chance
from netgen.pipeline.answer import CORRECTIONS, HALF_A_POINT, answer
from netgen.pipeline.inside import MOST_PLACES, longest_axis, sum_rows
from netgen.pipeline.records import (
    NEAR,
    RESULTS,
    CellRecord,
    StudyResults,
    best,
    means,
    write_results,
)
from netgen.pipeline.seen import Seen, Setting, name_of, seen_at
from netgen.pipeline.sentences import (
    NetworkComparison,
    SentenceFinding,
    comparisons,
    findings,
)
from netgen.pipeline.statistics import Mean, mean, seeds_to_decide
from netgen.pipeline.study_file import Study, groups_of, title_of
from netgen.pipeline.study_pictures import PICTURES, draw_pictures, short
from netgen.pipeline.study_plan import Plan
from netgen.system.files import write_all

PAGE = "README.md"


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
    """What the report says of one place in the grid of the axes; its name is "" without axes."""

    name: str
    seeds: int
    findings: list[SentenceFinding]
    tasks: list[str]
    columns: list[tuple[str, int]]
    rows: list[ReportRow]
    differences: list[ReportDifference]
    comparisons: list[NetworkComparison]
    cross: dict[str, str] | None


def write_report(plan: Plan, results: StudyResults, out: Path, changes: str = "") -> list[Path]:
    """Write results.json, the pictures and README.md into `out`; return what was written.

    `changes` are the words of the command line that changed the study.

    Raises
    ------
    ValueError, OSError
        A file of the study is missing or damaged, or a file cannot be written.
    """
    pictures = draw_pictures(plan, results, out)
    file = out / RESULTS
    write_results(results, file)
    there = {name for name in PICTURES if (out / name).exists()}
    page = report_page(plan.study, plan.file, results, there, changes)
    write_all({out / PAGE: page})
    return [out / PAGE, file, *pictures]


def report_page(
    study: Study, file: Path, results: StudyResults, pictures: Collection[str], changes: str = ""
) -> str:
    """Return the report's README.md; `pictures` are the names of those that there are."""
    found = findings(study, results)
    places = [_place(study, results, setting, here) for setting, here in found.places]
    by_trial = means(results.trials)
    choose = study.choose
    return render(
        "study.md",
        study=study,
        results=results,
        command=(study.command or f"netgen study run {file.as_posix()}") + changes,
        changes=changes,
        versions=", ".join(_version(*item) for item in _versions(results).items()),
        places=[place for place in places if place.rows],
        sentences=[finding.quote for finding in places[0].findings],
        answer=answer(study, found),
        most_places=MOST_PLACES,
        map_of=_map_of(study),
        asked=[short(sentence) for sentence in study.sentences],
        sums=sum_rows(study, results),
        contrasts=found.comparisons,
        corrected=CORRECTIONS[study.report.correction],
        costs={c.network: (c.parameters, c.multiply_adds) for c in results.deciding},
        pictures=set(pictures),
        near=NEAR,
        chance={name: ", ".join(f"{chance(classes, 1):.1%} for {task}"
                                for task, classes in facts.tasks.items())
                for name, facts in results.datasets.items()},
        trials=results.trials,
        trial_means=by_trial,
        best=best(by_trial, [label for label in choose.among if label in by_trial])
        if choose and by_trial else None,
        trial_tasks=list(dict.fromkeys(task for task, _ in _columns(results.trials))),
    )  # fmt: skip


def _map_of(study: Study) -> str:
    """Return what the rows and the columns of the map are, in words."""
    across = longest_axis(study)
    others = ", ".join(axis for axis in study.axes if axis != across)
    rows = f"; rows: {others}" if others else ""
    return f" Columns: {across}{rows}." if across else ""


def _versions(results: StudyResults) -> dict[str, str]:
    return results.deciding[0].versions if results.deciding else {}


def _version(name: str, version: str) -> str:
    return f"{name} {version.removeprefix(f'{name} version ')}"


def _columns(cells: Sequence[CellRecord]) -> list[tuple[str, int]]:
    tasks = dict.fromkeys(
        task for cell in sorted(cells, key=lambda c: -len(c.tasks)) for task in cell.tasks
    )
    return [(task, k) for k in (1, 5) for task in tasks]


def _place(
    study: Study, results: StudyResults, setting: Setting, found: list[SentenceFinding]
) -> Place:
    seen = seen_at(study, results, setting)
    reported = _reported(study)
    named = {name for group in reported for name in groups_of(study)[group]}
    cells = [cell for of in seen.cells.values() for name, cell in of.items() if name in named]
    columns = _columns(cells)
    rows = [row for group in reported if (row := _row(seen, group, columns))]
    tasks = list(dict.fromkeys(task for task, _ in columns))
    return Place(
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


def _cross(seen: Seen) -> dict[str, str] | None:
    """Return the cross weights' numbers of the first network of the study that has some."""
    for name in seen.study.networks:
        found = [cells[name].cross for cells in seen.cells.values() if name in cells]
        crosses = [cross for cross in found if cross]
        if crosses:
            total = sum(cross.total for cross in crosses)
            shares = {
                kind: f"{100 * sum(getattr(cross, kind) for cross in crosses) / total:.1f}"
                for kind in ("not_negative", "near_zero", "near_one")
            }
            magnitude = f"{np.mean([cross.magnitude for cross in crosses]):.3f}"
            return shares | {"magnitude": magnitude, "network": name}
    return None
