"""`netgen page run`: trainings, while they go on or later."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.page_options import command_line, out_option, paths_argument, write_page
from netgen.commands.shared_options import refuse_given
from netgen.commands.terminal_progress import show_work
from netgen.system.files import write_all

if TYPE_CHECKING:
    from netgen.figures.page.runs import PagedRun


@click.command("run", short_help="Show trainings: losses, accuracies, rates, speed.")
@paths_argument(metavar="RUN_OR_LOG...")
@out_option
@click.option(
    "--watch",
    is_flag=True,
    help="Make the page again whenever there is more to show, until all trainings have ended. In a"
    " browser it reads itself again.",
)
@click.option(
    "--every",
    type=click.IntRange(1, 3600),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="With --watch, how often to look.",
)
@click.pass_context
def run(
    context: click.Context, paths: tuple[Path, ...], out: Path, watch: bool, every: int
) -> None:
    """Show trainings: losses and accuracies over the iterations, rate drops, snapshots, speed.

    RUN_OR_LOG is a folder that `netgen train` made, or a log that `caffe train` wrote; several are
    compared in the same charts. Long trainings are thinned, with every peak.
    """
    from netgen.figures.page.run_page import run_page
    from netgen.figures.page.runs import NoRunError

    if not watch:
        refuse_given(("every",), "is for --watch: add that, or omit it")
    command = command_line(context, *map(str, paths))
    if watch:
        _watch(paths, out, command, every)
        return
    with show_work("reading trainings"):
        runs = _read(paths)
    for one in runs:
        if not one.has_begun:
            raise NoRunError(
                f"{one.path}: no loss and no test in it yet: wait for the first display, or give"
                " --watch; or is it another file?"
            )
    write_page(out, run_page(runs, command))


def _read(paths: Sequence[Path]) -> list[PagedRun]:
    from netgen.figures.page.runs import read_paged_runs

    return read_paged_runs(paths)


def _watch(paths: Sequence[Path], out: Path, command: str, every: int) -> None:
    """Make the page again and again; at the end, or when stopped, so that it stays as it is."""
    from netgen.figures.page.run_page import run_page

    runs = _read(paths)
    write_page(out, run_page(runs, command, every))
    try:
        while not all(one.end for one in runs):
            time.sleep(every)
            newest = _read(paths)
            if newest != runs:
                runs = newest
                write_all({out: run_page(runs, command, every)})
    finally:
        write_all({out: run_page(runs, command)})
