"""Show on a terminal that something goes on: what every command shows while it works."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netgen.system.text import escaped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn


@contextmanager
def show_work(what: str | None, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Show on a terminal that something of a few seconds goes on, and for how long.

    With a total, give what is called for each that is done, and show the time that is left.
    Elsewhere, and of None, nothing is shown: whoever reads a file of it has not waited.
    """
    if what is None or not on_terminal():
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
    with progress_on_terminal((*described, *columns)) as progress:
        task = progress.add_task(escaped(what), total=total)
        yield lambda: progress.advance(task)


def on_terminal() -> bool:
    """Return whether standard error is a terminal, or FORCE_COLOR says so."""
    return sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR"))


def plain_console(**how: Any) -> Console:
    """Return rich's console for texts as they are; `how` it is made, as rich has it.

    What stands in brackets or between colons in a name or a path would be a style or an emoji to
    rich, and be left out, replaced, or an error.
    """
    from rich.console import Console

    return Console(emoji=False, highlight=False, markup=False, **how)


def progress_on_terminal(columns: Sequence[ProgressColumn]) -> Progress:
    """Return what shows these columns; what is printed meanwhile stays on standard output."""
    from rich.progress import Progress

    console = plain_console(stderr=True)
    return Progress(*columns, console=console, transient=True, redirect_stdout=False)
