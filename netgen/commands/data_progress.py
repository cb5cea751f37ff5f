"""How the making of a dataset is shown: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from data_prep.records import Watch

if TYPE_CHECKING:
    pass


class Rate(ProgressColumn):
    """How many images a second."""

    def render(self, task: Task) -> Text:
        """Return the rate of late."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


class Bar(Watch):
    """One bar, which starts over with every stage."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task("")

    def stage(self, name: str, total: int | None = None) -> None:
        """Start the bar over."""
        self.progress.remove_task(self.task)
        self.task = self.progress.add_task(name, total=total)

    def step(self, count: int) -> None:
        """Move the bar."""
        self.progress.advance(self.task, count)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.progress.console.print(text, highlight=False, markup=False)


class Lines(Watch):
    """One line a stage, for logs."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Print the stage's name, and how much is to be done where that is known."""
        click.echo(name if total is None else f"{name}: {total:,} images", err=True)

    def say(self, text: str) -> None:
        """Print a line."""
        click.echo(text, err=True)


@contextmanager
def watching() -> Iterator[Watch]:
    """Give whichever suits where standard error goes."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress)
