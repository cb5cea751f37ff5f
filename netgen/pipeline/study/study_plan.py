"""The plan of a study: its cells, and which depends on which."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from netgen.network.options import Part
from netgen.pipeline.study.cell_steps import Device, row_of
from netgen.pipeline.study.cells import Cell
from netgen.pipeline.study.planner import cells_of
from netgen.pipeline.study.study_changes import Changes, changed
from netgen.pipeline.study.study_file import Study
from netgen.pipeline.study.study_reading import read_study
from netgen.pipeline.study.study_settings import StudyError


@dataclass(frozen=True)
class Plan:
    """A study's cells by name, each after those that it depends on; `work` is its folder."""

    study: Study
    file: Path
    work: Path
    cells: dict[str, Cell]

    @property
    def deciding(self) -> list[Cell]:
        """The networks that the study is about."""
        return [c for c in self.cells.values() if c.trained and c.trained.trial is None]

    @property
    def trials(self) -> list[Cell]:
        """The networks that choose settings."""
        return [c for c in self.cells.values() if c.trained and c.trained.trial is not None]

    @property
    def wanted(self) -> list[Cell]:
        """The networks to make when none is named: the trials, until their rule has chosen."""
        choose = self.study.choose
        return self.trials if choose and choose.chosen is None else self.deciding

    def named(self, names: Collection[str]) -> list[Cell]:
        """Return the cells with these names, in which * and ? stand for anything, as in a shell.

        Raises
        ------
        StudyError
            There is none of a name; the message has those like it.
        """
        found: dict[str, None] = {}
        for name in names:
            matching = fnmatch.filter(self.cells, name) if name not in self.cells else [name]
            if not matching:
                close = difflib.get_close_matches(name, self.cells, n=1)
                hint = f"do you mean {close[0]!r}?" if close else "`netgen study plan` lists them"
                raise StudyError(f"{self.file}: no cell {name!r}: {hint}")
            found |= dict.fromkeys(matching)
        return [self.cells[name] for name in found]

    def with_needs(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return cells and those that they depend on and that are not done, in the plan's order."""
        found: set[str] = set()
        waiting = list(cells)
        while waiting:
            cell = waiting.pop()
            if cell.name not in found:
                found.add(cell.name)
                # What a cell that is done has come from may have been removed.
                needs = () if cell.is_done else cell.needs
                waiting += [n for n in map(self.cells.__getitem__, needs) if not n.is_done]
        return [cell for cell in self.cells.values() if cell.name in found]


def plan_study(
    file: Path, changes: Changes | None = None, gpu: int | None = None, mode: str | None = None
) -> Plan:
    """Read a study and return its plan, for a GPU, or for a solver mode other than the study's.

    Raises
    ------
    StudyError
        It cannot be read; cells depend on each other in a circle, have the same name or place; a
        network starts from one that has no cell for it.
    """
    study = changed(read_study(file), changes or Changes())
    device = Device(gpu, mode or ("gpu" if gpu is not None else study.solver_mode))
    work = Path(study.work or f"runs/{study.name}")
    try:
        cells = cells_of(study, work, device)
        order = TopologicalSorter({name: cell.needs for name, cell in cells.items()}).static_order()
        plan = Plan(study, file, work, {name: cells[name] for name in order})
        if changes is None or changes.seeds is None:  # fewer seeds may be without that cell
            _check_draw(plan)
        return plan
    except CycleError as error:
        circle = " after ".join(error.args[1])
        raise StudyError(f"{file}: cells depend on each other in a circle: {circle}") from None
    except StudyError as error:
        raise StudyError(f"{file}: {error}") from None


def _check_draw(plan: Plan) -> None:
    """See that the cell that is drawn is a network with cross weights, which Figure 5 shows."""
    name = plan.study.report.draw
    drawable = [
        cell.name
        for cell in plan.deciding
        if cell.trained and row_of(cell.trained.variant).has(Part.CROSS_WEIGHTS)
    ]
    if name is not None and name not in drawable:
        close = difflib.get_close_matches(name, drawable, n=1) or drawable[:1]
        hint = f"name one, such as {close[0]!r}" if close else "omit it"
        raise StudyError(f"report.draw: no cell {name!r} with cross weights: {hint}")
