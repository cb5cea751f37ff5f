"""A study in parts: results of cells that were made in another folder, or on another machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from netgen.pipeline.running.records import CellRecord, StudyResults, in_order, read_results
from netgen.pipeline.study.cells import Trained
from netgen.pipeline.study.study_plan import Plan
from netgen.pipeline.study.study_settings import StudyError, differing


def with_elsewhere(plan: Plan, results: StudyResults, files: Iterable[Path]) -> StudyResults:
    """Return results and those in other files of cells that these lack.

    Times are added up, and machines are named together.

    Raises
    ------
    StudyError
        A file is none of this study's results, has cells that the study lacks or has with other
        settings, or was made of other images.
    """
    for file in files:
        others = read_results(file)
        _check(plan, results, others, file)
        known = {cell.name for cell in results.cells}
        more = [cell for cell in others.cells if cell.name not in known]
        if not more:
            continue
        machines = dict.fromkeys([*results.machine.split("; "), *others.machine.split("; ")])
        results = replace(
            results,
            machine="; ".join(machines),
            seconds=round(results.seconds + others.seconds, 1),
            jobs=max(results.jobs, others.jobs),
            datasets=others.datasets | results.datasets,
            cells=in_order([*results.cells, *more]),
        )
    return results


def _check(plan: Plan, results: StudyResults, others: StudyResults, file: Path) -> None:
    if others.study != plan.study.name:
        raise StudyError(f"{file}: results of the study {others.study!r}, not {plan.study.name!r}")
    planned = {cell.name: cell.trained for cell in plan.cells.values() if cell.trained}
    for found in others.cells:
        _check_cell(found, planned.get(found.name), file)
    for name, facts in others.datasets.items():
        if name in results.datasets and results.datasets[name].data != facts.data:
            raise StudyError(
                f"{file}: made of another dataset {name!r} than the one here: the results cannot be"
                " compared; make it as it was, or that file's cells again"
            )


def _check_cell(found: CellRecord, planned: Trained | None, file: Path) -> None:
    if planned is None:
        raise StudyError(f"{file}: has a cell {found.name!r}, which the study lacks")
    if changed := differing(found.settings, planned.settings.given()):
        raise StudyError(
            f"{file}: {found.name} was made with other settings than the study's"
            f" ({', '.join(changed)}): omit that file, or make its cells again"
        )
