"""`netgen experiment`: the paper's experiment in miniature, all of it, resumable."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.shared_options import PrintablePath, print_table
from netgen.pipeline.miniature import ITERATIONS, JOBS, SEEDS, SPECULATED_SEEDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netgen.pipeline.cell_record import CellRecord
    from netgen.pipeline.cells import Cell
    from netgen.pipeline.session import Heard, Request

REPORT = Path("experiments/miniature")


@click.group("experiment")
def command() -> None:
    """Repeat the paper's experiment in miniature, on images that anyone can make."""


@command.command("miniature")
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=SEEDS,
    show_default=True,
    metavar="N",
    help="Trainings of each network of Table 2; of the paper's speculations,"
    f" {SPECULATED_SEEDS} of them.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=JOBS,
    show_default=True,
    metavar="N",
    help="Trainings side by side, of one thread each: as many as there are cores.",
)
@click.option("--resume", is_flag=True, help="Go on where an experiment was stopped or killed.")
@click.option(
    "--iterations",
    type=click.IntRange(20, 1_000_000),
    metavar="N",
    help=f"Of each training.  [default: {ITERATIONS:,}, as in the report]",
)
@click.option(
    "--only",
    "names",
    multiple=True,
    metavar="NETWORK-SEED",
    help="A cell, such as xs-3, beside the report's; repeatable. Writes no report.",
)
@click.option(
    "--choose",
    is_flag=True,
    help="Choose the learning rate instead, on the training images alone; writes choosing.json.",
)
@click.option(
    "--data",
    type=PrintablePath(file_okay=False),
    default=Path("data/typefaces"),
    show_default=True,
    help="What examples/typefaces/make.py made.",
)
@click.option(
    "--work",
    type=PrintablePath(file_okay=False),
    default=Path("runs/miniature"),
    show_default=True,
    help="The folder of the experiment's databases and trainings.",
)
@click.option(
    "--out",
    type=PrintablePath(file_okay=False),
    default=REPORT,
    show_default=True,
    help="The folder of the report: README.md, results.json, pictures.",
)
def miniature(
    seeds: int,
    jobs: int,
    resume: bool,
    iterations: int | None,
    names: tuple[str, ...],
    choose: bool,
    data: Path,
    work: Path,
    out: Path,
) -> None:
    """Train Table 2's networks on letters in typefaces, and report what comes of it.

    Single-task networks, X_0, X_1 and X_S, of the paper's shape but small, all from the same
    pretrained trunk, by the same recipe; then what the paper speculates about. An hour or more on
    two cores; Ctrl-C stops it, --resume goes on.
    """
    from netgen.pipeline.cells import Places, cells, choosing, named
    from netgen.pipeline.session import begin, session

    if names and choose:
        raise click.UsageError("--only and --choose exclude each other")
    wanted = choosing() if choose else named(names) if names else cells(seeds)
    request = begin(wanted, Places(data, work), iterations, jobs, resume)
    with _interruptible(), _progress(request) as heard:
        done, seconds = session(request, heard)
    if choose:
        _print_choice([done[cell] for cell in wanted], out)
    elif names:
        _print_cells([done[cell] for cell in wanted], out / "results.json")
    else:
        _report(request, list(done.values()), seconds, out)


def _report(request: Request, done: list[CellRecord], seconds: float, out: Path) -> None:
    from netgen.pipeline.report import write_report
    from netgen.pipeline.session import experiment

    made = experiment(request, done, seconds)
    for path in write_report(made, request.places, out):
        click.echo(path.as_posix())


def _print_cells(cells: Sequence[CellRecord], committed: Path) -> None:
    """Print cells, and whether the report has the same counts."""
    from netgen.pipeline.cell_record import read_experiment

    known = {}
    if committed.exists():
        known = {cell.name: cell for cell in read_experiment(committed).cells}
    print_table([_row(cell) for cell in cells])
    for cell in cells:
        if cell.name in known:
            same = known[cell.name].tasks == cell.tasks
            click.echo(f"{cell.name}: {'the same counts as' if same else 'NOT as'} in {committed}")


def _row(cell: CellRecord) -> dict[str, str]:
    right = {
        f"{task} {k}": f"{getattr(of, k)} of {of.total}"
        for task, of in cell.tasks.items()
        for k in ("top1", "top5")
    }
    return {"cell": cell.name, "rate": f"{cell.rate:g}"} | right


def _print_choice(cells: Sequence[CellRecord], out: Path) -> None:
    """Print what each rate gave on the images that were kept back, and which is best."""
    from netgen.paper import TASKS
    from netgen.pipeline.cell_record import means, write_choice
    from netgen.pipeline.miniature import RATE

    print_table(
        [
            {"rate": f"{cell.rate:g}", "network": cell.network}
            | {t: f"{cell.accuracy(t):.2f}" if t in cell.tasks else "" for t in TASKS}
            for cell in cells
        ]
    )
    by_rate = means(cells)
    for rate, value in by_rate.items():
        click.echo(f"rate {rate:g}: {value:.2f}% in the mean of the networks")
    best = max(by_rate, key=by_rate.__getitem__)
    click.echo(f"best: {best:g}; the experiment's is {RATE:g} (netgen/pipeline/miniature.py)")
    click.echo(write_choice(cells, out).as_posix())


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have SIGTERM end an experiment as Ctrl-C does: with snapshots, and a word on how to go on."""
    from netgen.caffe.child import handling

    def interrupt(number: int, _frame: object) -> None:
        asked.append(number)
        raise KeyboardInterrupt

    asked: list[int] = []
    try:
        with handling((signal.SIGTERM, signal.SIGINT), interrupt):
            yield
    except KeyboardInterrupt:
        click.echo("\nstopped: the same command with --resume goes on from here", err=True)
        click.get_current_context().exit(128 + (asked or [signal.SIGINT])[0])


@contextmanager
def _progress(request: Request) -> Iterator[Heard]:
    """Show how far all of it is: a bar on a terminal, elsewhere a line a cell."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, highlight=False)
    told: set[Cell] = set()
    length, count = request.settings.iterations, len(request.cells)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"),
        TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn(elapsed_when_finished=False),
    )  # fmt: skip
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal,
        speed_estimate_period=600,
    ) as progress:  # fmt: skip
        bar = progress.add_task("preparing", total=count * length)

        def heard(done: Mapping[Cell, CellRecord], at_work: Sequence[tuple[Cell, int]]) -> None:
            for cell in done.keys() - told:
                told.add(cell)
                console.print(_done(done[cell], len(told), count))
            ahead = len(done) * length + sum(at for _, at in at_work)
            names = ", ".join(cell.name for cell, _ in at_work) or "preparing"
            progress.update(bar, completed=ahead, description=names)

        yield heard


def _done(cell: CellRecord, number: int, of: int) -> str:
    top1 = ", ".join(f"{task} {cell.accuracy(task):.1f}" for task in cell.tasks)
    return f"{number} of {of}: {cell.name}: {top1} % top-1, {cell.seconds:.0f} s"
