"""What every command that runs a study does: progress, signals, results, and the exit code."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.shared_options import print_table
from netgen.commands.terminal_progress import plain_console
from netgen.system.interrupts import Interrupted, exit_status
from netgen.system.text import escaped

if TYPE_CHECKING:
    from collections.abc import Callable

    from netgen.pipeline.running.records import CellRecord
    from netgen.pipeline.running.runner import Progress
    from netgen.pipeline.running.study_run import Request
    from netgen.pipeline.study.cells import Cell
    from netgen.pipeline.study.study_plan import Plan


def run_request(request: Request, again: str) -> None:
    """Make cells; exit with 1 when one failed, and by the signal's number when stopped.

    `again` says what goes on from there.
    """
    from netgen.pipeline.running.study_run import make

    with _interruptible(again), _shown(request) as report:
        progress = make(request, report)
    if progress.failed:
        dropped = [cell.name for cell in request.left if cell.name not in progress.failed]
        after = f"; not begun, since they depend on it: {', '.join(dropped)}" if dropped else ""
        click.echo(f"failed: {', '.join(progress.failed)}{after}. Next: {again}", err=True)
        click.get_current_context().exit(1)


def print_cells(plan: Plan, cells: Sequence[Cell], committed: Path) -> None:
    """Print cells that are made, and whether the report has the same counts."""
    from netgen.pipeline.running.collecting import recorded
    from netgen.pipeline.running.records import read_results

    known = {}
    if committed.exists():
        known = {cell.name: cell for cell in read_results(committed).cells}
    made = [found for cell in cells if (found := recorded(plan, cell))]
    if made:
        print_table(_rows(made))
    for cell in made:
        if cell.name in known:
            before = known[cell.name]
            if before.tasks == cell.tasks:
                click.echo(f"{cell.name}: the same counts as in {committed}")
                continue
            what = "" if before.commit == cell.commit else f": there of netgen's {before.commit}"
            click.echo(f"{cell.name}: NOT the same counts as in {committed}{what}")


def print_choice(plan: Plan) -> None:
    """Print the accuracies of each trial, and which is best, if all are made."""
    from netgen.pipeline.running.collecting import recorded
    from netgen.pipeline.running.records import best, means

    choose = plan.study.choose
    cells = [found for cell in plan.trials if (found := recorded(plan, cell))]
    if choose is None or not cells:
        return
    print_table(_rows(cells))
    by_trial = means(cells)
    for trial, value in by_trial.items():
        click.echo(f"{trial}: {value:.2f}%, mean of the networks")
    if len(cells) == len(plan.trials):
        trial = best(by_trial, list(choose.among))
        has = f"has {choose.chosen}" if choose.chosen else f"wants [choose] chosen = {trial!r}"
        click.echo(f"best: {trial}; {plan.file} {has}")


def write(plan: Plan, out: Path, changes: str = "", also: Sequence[Path] = ()) -> None:
    """Write the report of what is made, here and by the results `also`, into `out`.

    What was made of another study than this one is refused.
    """
    from netgen.pipeline.reporting.study_report import write_report
    from netgen.pipeline.running.begun import check_begun
    from netgen.pipeline.running.collecting import collect
    from netgen.pipeline.running.elsewhere import with_elsewhere
    from netgen.pipeline.running.records import RESULTS, read_results
    from netgen.pipeline.running.study_run import clock_of

    check_begun(plan, plan.cells.values())
    before = out / RESULTS
    known = read_results(before) if before.exists() else None
    clock = clock_of(plan)
    here = collect(plan, clock.before, max(1, clock.jobs), known)
    results = with_elsewhere(plan, here, also)
    if not results.deciding:
        raise click.ClickException(
            f"{plan.work}: no cell is done: `netgen study run {plan.file}` makes them"
        )
    for path in write_report(plan, results, out, changes):
        click.echo(path.as_posix())


def _rows(cells: Sequence[CellRecord]) -> list[dict[str, str]]:
    tasks = dict.fromkeys(task for cell in cells for task in cell.tasks)
    return [
        {"cell": cell.name}
        | {
            f"{task} {k}": f"{getattr(cell.tasks[task], k)} of {cell.tasks[task].total}"
            if task in cell.tasks
            else ""
            for task in tasks
            for k in ("top1", "top5")
        }
        for cell in cells
    ]


@contextmanager
def _interruptible(again: str) -> Iterator[None]:
    """Say how to go on when a signal ends a study: trainings have made snapshots."""
    try:
        yield
    except Interrupted as stopped:
        click.echo(f"\nstopped. Next: {again}", err=True)
        click.get_current_context().exit(exit_status(stopped.number))


@contextmanager
def _shown(request: Request) -> Iterator[Callable[[Progress], None]]:
    """Show progress: a bar on a terminal, otherwise one line per cell, with the time left."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = plain_console(stderr=True)
    cells = request.left
    work = _Work(cells)
    printed: set[str] = set()
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(),
        TextColumn("{task.percentage:.0f}%"), TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )  # fmt: skip
    bare = request.shown or not console.is_terminal
    with Bar(*columns, console=console, transient=True, disable=bare) as bar:
        task = bar.add_task("preparing", total=work.total, left="")

        def report(progress: Progress) -> None:
            done = work.done(progress)
            left = work.left(done)
            for cell in progress.done:
                if cell.name not in printed:
                    printed.add(cell.name)
                    number = f"{len(progress.done)} of {len(cells)}"
                    line = f"{number}: {cell.name}{_scores(request.plan, cell)}{left}"
                    console.print(line, soft_wrap=True)
            for name, why in progress.failed.items():
                if name not in printed:
                    printed.add(name)
                    console.print(escaped(f"{name} failed: {why}"), soft_wrap=True)
            names = ", ".join(cell.name for cell in progress.making) or "preparing"
            bar.update(task, completed=done, description=names, left=left)

        yield report


class _Work:
    """How much there is to do: iterations, where they are known, and a little for each cell."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        lengths = [cell.iterations for cell in cells if cell.iterations]
        self.other = max(1.0, min(lengths, default=1) / 20)  # databases, building, testing
        self.cells = cells
        self.begun = {cell.name: cell.iterations_done for cell in cells}
        self.total = sum(self.of(cell) for cell in cells)
        self.start = time.monotonic()

    def of(self, cell: Cell) -> float:
        """Return what a cell takes, less what an earlier run did of it."""
        return self.other + max(0, (cell.iterations or 0) - self.begun[cell.name])

    def done(self, progress: Progress) -> float:
        """Return how much is done."""
        making = sum(max(0, c.iterations_done - self.begun[c.name]) for c in progress.making)
        return sum(self.of(cell) for cell in progress.done) + making

    def left(self, done: float) -> str:
        """Return the time that is left, at the speed so far, in words."""
        if not done or done >= self.total:
            return ""
        seconds = (time.monotonic() - self.start) * (self.total - done) / done
        if seconds >= 3600:
            return f"; about {seconds / 3600:.1f} hours left"
        return f"; about {max(1, round(seconds / 60))} minutes left"


def _scores(plan: Plan, cell: Cell) -> str:
    """Return the accuracies of a cell that is made, for its line."""
    from netgen.pipeline.running.collecting import recorded

    found = recorded(plan, cell) if cell.trained else None
    if found is None:
        return ""
    if found.diverged:
        return f": diverged at {found.diverged}"
    top1 = ", ".join(f"{task} {found.accuracy(task):.1f}" for task in found.tasks)
    return f": {top1} % top-1, {found.seconds:.0f} s"
