"""`netgen experiment`: the paper's experiment in miniature."""

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

    from netgen.pipeline.experiment import ExperimentRequest, Progress
    from netgen.pipeline.miniature import Cell
    from netgen.pipeline.records import CellRecord

REPORT = Path("experiments/miniature")


@click.group("experiment", short_help="Repeat the paper's comparison in miniature.")
def command() -> None:
    """Repeat the paper's comparison of networks in miniature, on images that you can make."""


@command.command("miniature", short_help="Train small networks on letters, and write a report.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=SEEDS,
    show_default=True,
    metavar="N",
    help=f"Trainings per network of Table 2; networks beyond it get at most {SPECULATED_SEEDS}.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=JOBS,
    show_default=True,
    metavar="N",
    help="Trainings side by side, one thread each; use the number of cores.",
)
@click.option("--resume", is_flag=True, help="Resume an experiment that was stopped or killed.")
@click.option(
    "--iterations",
    type=click.IntRange(20, 1_000_000),
    metavar="N",
    help=f"Iterations per training.  [default: {ITERATIONS:,}, as in the report]",
)
@click.option(
    "--only",
    "names",
    multiple=True,
    metavar="NETWORK-SEED",
    help="Run only this cell, such as xs-3, and compare it with the report's; repeatable.",
)
@click.option(
    "--choose",
    is_flag=True,
    help="Choose the learning rate, on the training images only; writes choosing.json.",
)
@click.option(
    "--data",
    type=PrintablePath(file_okay=False),
    default=Path("data/typefaces"),
    show_default=True,
    help="The folder that examples/typefaces/make.py wrote.",
)
@click.option(
    "--work",
    type=PrintablePath(file_okay=False),
    default=Path("runs/miniature"),
    show_default=True,
    help="The folder for the experiment's databases and trainings.",
)
@click.option(
    "--out",
    type=PrintablePath(file_okay=False),
    default=REPORT,
    show_default=True,
    help="The folder for the report: README.md, results.json and pictures.",
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
    """Train small versions of Table 2's networks on letters, and write a report.

    The single-task networks, X_0, X_1 and X_S have the paper's shape, start from the same
    pretrained trunk and are trained with the same recipe. Variations that the paper speculates
    about follow. This takes an hour or more on two cores. Ctrl-C stops it, and --resume continues.
    """
    from netgen.pipeline.experiment import make_cells, prepare
    from netgen.pipeline.miniature import choosing_cells, named_cells, report_cells
    from netgen.pipeline.parts import ExperimentFolders

    if names and choose:
        raise click.UsageError("--only and --choose exclude each other")
    wanted = choosing_cells() if choose else named_cells(names) if names else report_cells(seeds)
    request = prepare(wanted, ExperimentFolders(data, work), iterations, jobs, resume)
    with _interruptible(), _progress_bar(request) as progress:
        done, seconds = make_cells(request, progress)
    if choose:
        _print_choice([done[cell] for cell in wanted], out)
    elif names:
        _print_cells([done[cell] for cell in wanted], out / "results.json")
    else:
        _report(request, list(done.values()), seconds, out)


def _report(request: ExperimentRequest, done: list[CellRecord], seconds: float, out: Path) -> None:
    from netgen.pipeline.experiment import whole_experiment
    from netgen.pipeline.miniature_report import write_report

    experiment = whole_experiment(request, done, seconds)
    for path in write_report(experiment, request.folders, out):
        click.echo(path.as_posix())


def _print_cells(cells: Sequence[CellRecord], committed: Path) -> None:
    """Print cells, and whether the report has the same counts."""
    from netgen.pipeline.records import read_experiment

    known = {}
    if committed.exists():
        known = {cell.name: cell for cell in read_experiment(committed).cells}
    print_table([_row(cell) for cell in cells])
    for cell in cells:
        if cell.name in known:
            same = known[cell.name].tasks == cell.tasks
            counts = "the same counts as in" if same else "NOT the same counts as in"
            click.echo(f"{cell.name}: {counts} {committed}")


def _row(cell: CellRecord) -> dict[str, str]:
    counts = {
        f"{task} {k}": f"{getattr(correct, k)} of {correct.total}"
        for task, correct in cell.tasks.items()
        for k in ("top1", "top5")
    }
    return {"cell": cell.name, "rate": f"{cell.rate:g}"} | counts


def _print_choice(cells: Sequence[CellRecord], out: Path) -> None:
    """Print the accuracies of each rate on the held-out images, and which rate is best."""
    from netgen.paper import TASKS
    from netgen.pipeline.miniature import RATE
    from netgen.pipeline.records import means, write_choice

    print_table(
        [
            {"rate": f"{cell.rate:g}", "network": cell.network}
            | {t: f"{cell.accuracy(t):.2f}" if t in cell.tasks else "" for t in TASKS}
            for cell in cells
        ]
    )
    by_rate = means(cells)
    for rate, value in by_rate.items():
        click.echo(f"rate {rate:g}: {value:.2f}%, mean of the networks")
    best = max(by_rate, key=by_rate.__getitem__)
    click.echo(f"best: {best:g}; the experiment uses {RATE:g} (netgen/pipeline/miniature.py)")
    click.echo(write_choice(cells, out).as_posix())


@contextmanager
def _interruptible() -> Iterator[None]:
    """Make SIGTERM end an experiment like Ctrl-C: with snapshots, and a message how to resume."""
    from netgen.caffe.child import handling

    def interrupt(number: int, _frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    received: list[int] = []
    try:
        with handling((signal.SIGTERM, signal.SIGINT), interrupt):
            yield
    except KeyboardInterrupt:
        click.echo("\nstopped: resume with the same command and --resume", err=True)
        click.get_current_context().exit(128 + (received or [signal.SIGINT])[0])


@contextmanager
def _progress_bar(request: ExperimentRequest) -> Iterator[Progress]:
    """Show progress: a bar on a terminal, otherwise one line per cell."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    console = Console(stderr=True, highlight=False)
    printed: set[Cell] = set()
    length, count = request.settings.iterations, len(request.cells)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"),
        TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn(elapsed_when_finished=False),
    )  # fmt: skip
    with Bar(
        *columns, console=console, transient=True, disable=not console.is_terminal,
        speed_estimate_period=600,
    ) as bar:  # fmt: skip
        task = bar.add_task("preparing", total=count * length)

        def progress(done: Mapping[Cell, CellRecord], making: Sequence[tuple[Cell, int]]) -> None:
            for cell in done.keys() - printed:
                printed.add(cell)
                console.print(_done(done[cell], len(printed), count))
            iterations = len(done) * length + sum(iteration for _, iteration in making)
            names = ", ".join(cell.name for cell, _ in making) or "preparing"
            bar.update(task, completed=iterations, description=names)

        yield progress


def _done(cell: CellRecord, number: int, of: int) -> str:
    top1 = ", ".join(f"{task} {cell.accuracy(task):.1f}" for task in cell.tasks)
    return f"{number} of {of}: {cell.name}: {top1} % top-1, {cell.seconds:.0f} s"
