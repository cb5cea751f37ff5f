"""Reads the results of a study, and sees that they are of the study as its file has it now."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from netgen.pipeline.running.records import StudyResults, read_results
from netgen.pipeline.study.study_plan import Plan
from netgen.pipeline.study.study_settings import StudyError
from netgen.system.text import listed


def read_results_of(plan: Plan, file: Path) -> StudyResults:
    """Read the results of a study from `file`.

    Raises
    ------
    StudyError
        There are none yet, they are damaged or of another study, or the study has no such cell
        now, or has it with other settings.
    """
    if not file.exists():
        raise StudyError(
            f"{file}: no results yet: `netgen study run {plan.file}` makes them, and"
            f" `netgen study report {plan.file}` writes those of the cells that are done"
        )
    results = read_results(file)
    if results.study != plan.study.name:
        raise StudyError(
            f"{file}: the results of the study {results.study!r}, but {plan.file} is"
            f" {plan.study.name!r}: name the study and the results that belong together"
        )
    again = (
        "give the --seeds and --iterations that they were made with, or make the results again:"
        f" `netgen study report {plan.file}`"
    )
    unknown = [cell.name for cell in results.cells if not _has(plan, cell.name)]
    if unknown:
        raise StudyError(f"{file}: {plan.file} has no {_names(unknown)}: {again}")
    twice = [name for name, times in Counter(c.name for c in results.cells).items() if times > 1]
    if twice:
        raise StudyError(f"{file}: has {_names(twice)} more than once: {again}")
    for cell in results.cells:
        if other := cell.differs_from(plan.cells[cell.name]):
            raise StudyError(
                f"{file}: {cell.name} has another {other} than in {plan.file}: {again}"
            )
    if not results.deciding:
        raise StudyError(f"{file}: no cell is done but those that choose settings: {again}")
    return results


def _has(plan: Plan, name: str) -> bool:
    return name in plan.cells and plan.cells[name].trained is not None


def _names(names: list[str]) -> str:
    return f"cell {names[0]!r}" if len(names) == 1 else f"cells {listed([*map(repr, names)])}"
