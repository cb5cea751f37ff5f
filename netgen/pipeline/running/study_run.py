"""One run of a study: the checks before it, the cells, and the total time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from netgen.pipeline.running.begun import check_ready, holding, is_begun, note_begun
from netgen.pipeline.running.collecting import record
from netgen.pipeline.running.foreseen import check_foreseen
from netgen.pipeline.running.runner import Progress, Runner, failure_file, run
from netgen.pipeline.study.cells import Cell
from netgen.pipeline.study.study_plan import Plan
from netgen.pipeline.study.study_settings import StudyError
from netgen.system.files import write_all

SAVE_INTERVAL = 10  # seconds between two writes of the time so far


@dataclass(frozen=True)
class Request:
    """What is to be made, and how.

    Attributes
    ----------
    plan, cells
        The study, and its cells that are asked for.
    jobs
        How many are made side by side.
    resume
        Whether the study was begun; None where that does not matter.
    shown
        Whether the commands' output is shown, instead of kept in files: with one job only.
    """

    plan: Plan
    cells: Sequence[Cell]
    jobs: int = 1
    resume: bool | None = None
    shown: bool = False

    @property
    def left(self) -> list[Cell]:
        """The cells that are to be made, each after those that it depends on."""
        return [cell for cell in self.plan.with_needs(self.cells) if not cell.is_done]


def logs(plan: Plan) -> Path:
    """Return the folder of the commands' output."""
    return plan.work / "logs"


def make(request: Request, report: Callable[[Progress], None] = lambda _: None) -> Progress:
    """Make the cells that are not made yet, and those that they depend on.

    `report` is called with the progress, twice a second.

    Raises
    ------
    StudyError, ValueError
        Nothing was run: something is missing, was begun otherwise, or cannot be trained or
        answered, or another runner holds a cell.
    KeyboardInterrupt
        As `runner.run`.
    """
    plan, cells = request.plan, request.left
    _check_resume(request)
    if plan.study.sentences and not find_spec("scipy"):  # else a report would fail hours later
        raise StudyError("scipy is not installed: pip install 'netgen[experiment]'")
    wanted = plan.with_needs(request.cells)
    check_ready(plan, wanted)
    check_foreseen(plan, wanted)
    clock = clock_of(plan, request.jobs)

    def timed(progress: Progress) -> None:
        clock.save()
        report(progress)

    runner = Runner(
        logs(plan),
        begin=lambda cell: note_begun(plan, cell),
        finish=lambda cell: record(plan, cell),
        shown=request.shown,
    )
    with holding(plan, cells):
        try:
            return run(cells, runner, request.jobs, timed)
        finally:
            clock.save(now=True)


def _check_resume(request: Request) -> None:
    work, begun = request.plan.work, is_begun(request.plan)
    if request.resume and not begun:
        raise StudyError(
            f"{work}: no study to resume: start one with the same command without --resume"
        )
    if request.resume is False and begun:
        raise StudyError(
            f"{work}: a study is there already: resume it (--resume), or name another folder"
            " (--work)"
        )


def state_of(plan: Plan, cell: Cell) -> str:
    """Return in words how far a cell is."""
    if cell.is_done:
        diverged = cell.trained and cell.trained.diverged
        return f"done: diverged at {diverged}" if diverged else "done"
    if (failure := failure_file(logs(plan), cell)).exists():
        return f"failed: {failure.read_text(errors='replace').splitlines()[-1]}"
    if done := cell.iterations_done:
        return f"iteration {done:,}" + (f" of {cell.iterations:,}" if cell.iterations else "")
    waits = [name for name in cell.needs if not plan.cells[name].is_done]
    return f"after {', '.join(waits)}" if waits else "to do"


def clock_of(plan: Plan, jobs: int = 0) -> Clock:
    """Return a study's clock; `jobs` cells are made side by side from now on."""
    return Clock(plan.work / "seconds", jobs)


class Clock:
    """The time that a study takes, over all resumes, and its jobs at most, kept in a file."""

    def __init__(self, file: Path, jobs: int = 0) -> None:
        self.file, self.start, self.saved = file, time.monotonic(), 0.0
        self.before, self.jobs = 0.0, jobs
        with suppress(OSError, ValueError):  # not there yet, or cut off: count this run only
            before, *others = file.read_text().split()
            self.before, self.jobs = float(before), max([jobs, *map(int, others)])

    def seconds(self) -> float:
        """Return the seconds so far."""
        return self.before + time.monotonic() - self.start

    def save(self, now: bool = False) -> None:
        """Write them; unless `now`, only sometimes."""
        if now or time.monotonic() - self.saved > SAVE_INTERVAL:
            self.saved = time.monotonic()
            with suppress(OSError):  # a full disk stops the cells, with a message of theirs
                write_all({self.file: f"{self.seconds():.1f} {self.jobs}\n"})
