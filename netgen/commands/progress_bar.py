"""Show how far the stages of a run are: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from data_prep.request import StageProgress
from netgen.commands.terminal_progress import on_terminal, progress_on_terminal
from netgen.system.text import escaped

if TYPE_CHECKING:
    from rich.progress import Progress, Task
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
        self.progress.console.print(escaped(text))


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
    if not on_terminal():
        yield ProgressLines()
        return
    with _bar() as progress:
        yield ProgressBar(progress)


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
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    return progress_on_terminal(columns)
