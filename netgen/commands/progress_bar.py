"""Show how far something is: a bar on a terminal; elsewhere lines, where it takes long."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from data_prep.request import StageProgress
from netgen.system.text import escaped

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, Task
    from rich.text import Text


class ProgressBar(StageProgress):
    """A bar that starts over with every stage."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task("")

    def stage(self, name: str, total: int | None = None) -> None:
        """Start the bar over."""
        self.progress.remove_task(self.task)
        self.task = self.progress.add_task(name, total=total)

    def advance(self, count: int) -> None:
        """Move the bar."""
        self.progress.advance(self.task, count)

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self.progress.console.print(escaped(text), highlight=False, markup=False)


class ProgressLines(StageProgress):
    """One line per stage, for logs."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Print the stage's name, and its number of images where that is known."""
        click.echo(name if total is None else f"{name}: {total:,} images", err=True)

    def message(self, text: str) -> None:
        """Print a line."""
        click.echo(escaped(text), err=True)


@contextmanager
def show_progress() -> Iterator[StageProgress]:
    """Give a bar when standard error is a terminal (or FORCE_COLOR says so), else lines."""
    if not _on_terminal():
        yield ProgressLines()
        return
    with _bar() as progress:
        yield ProgressBar(progress)


@contextmanager
def show_work(what: str | None, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Show on a terminal that something of a few seconds goes on, and for how long.

    With a total, give what is called for each that is done, and show the time that is left.
    Elsewhere, and of None, nothing is shown: whoever reads a file of it has not waited.
    """
    if what is None or not _on_terminal():
        yield lambda: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    counted = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    columns = counted if total else (TimeElapsedColumn(),)
    # The spinner is of ASCII, for every terminal.
    described = (SpinnerColumn("line"), TextColumn("{task.description}", markup=False))
    with _shown((*described, *columns)) as progress:
        task = progress.add_task(escaped(what), total=total)
        yield lambda: progress.advance(task)


def _on_terminal() -> bool:
    return sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR"))


def _bar() -> Progress:
    """Return a bar; only a run that shows one waits for Rich to be imported."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Images per second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    return _shown(columns)


def _shown(columns: Sequence[ProgressColumn]) -> Progress:
    """Return what shows these columns; what is printed meanwhile stays on standard output."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, redirect_stdout=False)
