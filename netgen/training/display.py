"""Shows a run: a progress bar on a terminal, one line per journal entry, and its curves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as ProgressBar
from rich.table import Column

from netgen.system.streams import drop_output
from netgen.training.plan import TrainingPlan
from netgen.training.state import Progress

FIRST_DRAWING = 60.0  # seconds until curves are drawn
DRAWING_SHARE = 0.01  # of the time that may be spent on drawing them
UNITS = {"training": "iteration", "replay": "reading again: batch", "test": "test: batch"}
BAR_WIDTH = 10  # characters
SPEED_WINDOW = 60.0  # seconds


class TrainingConsole(Console):
    """A console whose reader may go away, as in ``netgen train | head``: that stops the training.

    It does so as a terminal that closes does, by SIGHUP: with a snapshot.
    """

    def on_broken_pipe(self) -> None:
        """Say nothing more, and ask this process to stop."""
        self.quiet = True
        drop_output()
        os.kill(os.getpid(), signal.SIGHUP)


class Display:
    """Shows a run's journal and progress, within `with display.showing()`."""

    def __init__(self, console: Console, plan: TrainingPlan) -> None:
        self.console, self.plan = console, plan
        self._bar = ProgressBar(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(BAR_WIDTH),
            TextColumn("{task.fields[pace]}", markup=False, table_column=Column(no_wrap=True)),
            # Cut off on a narrow terminal:
            TextColumn(
                "{task.fields[loss]}", markup=False, table_column=Column(no_wrap=True, ratio=1)
            ),
            console=console, expand=True, transient=True, disable=not console.is_terminal,
            refresh_per_second=2,
        )  # fmt: skip
        self._task: TaskID = self._bar.add_task("starting Caffe", total=None, pace="", loss="")
        self._speed = Speed()
        self._outputs = ""

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the progress bar in a with block."""
        with self._bar:
            yield

    def on_message(self, text: str) -> None:
        """Show a sentence."""
        self.console.print(text, soft_wrap=True)

    def on_event(self, event: Any) -> None:
        """Show an entry of the journal, or progress."""
        if isinstance(event, Progress):
            self._show_progress(event)
        elif line := self.line(event):
            self.on_message(line)

    def line(self, entry: dict[str, Any]) -> str | None:
        """Return a journal's entry as a line of text; None for those that are not shown."""
        at = f"iteration {entry['iteration']:,}"
        match entry["event"]:
            case "train":
                self._outputs = _values(entry["outputs"])
                self._speed.reached(entry["iteration"])
                rate = "" if entry["lr"] is None else f", rate {entry['lr']:g}"
                what = f", epoch {entry['epoch']:.2f}, loss {_number(entry['loss'])}"
                return f"{at}{what} ({self._outputs}){rate}{self._pace(entry['iteration'])}"
            case "test":
                return f"{at}, test: {_values(entry['outputs'])}"
            case "drop":
                return f"{at}: the rate drops to {entry['lr']:g}: {entry['why']}"
            case "snapshot":
                return f"{at}: {entry['model']}{', the best so far' if entry['best'] else ''}"
        return None

    def _show_progress(self, progress: Progress) -> None:
        done, total = progress.done, progress.total
        text, pace, loss = f"{UNITS[progress.task]} {done:,} of {total:,}", "", ""
        if progress.task == "training":
            self._speed.reached(done)
            loss = f"loss {_number(progress.loss)} ({self._outputs})"
            pace = f"epoch {self.plan.epoch(done):.2f}{self._pace(done)}"
        self._bar.update(
            self._task, description=text, completed=done, total=total, pace=pace, loss=loss
        )

    def _pace(self, iteration: int) -> str:
        """Return the speed and the time that is left; nothing as long as they are not known."""
        rate = self._speed.rate
        if not rate:
            return ""
        left = int((self.plan.parameters.max_iter - iteration) / rate)
        pace = f"{rate:.2f} it/s" if rate > 1 else f"{1 / rate:.2f} s/it"
        return f", {pace}, {_duration(left)} left"


class Speed:
    """Iterations per second, over the last minute."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def reached(self, iteration: int) -> None:
        """Record how many iterations are done."""
        now = time.monotonic()
        self._seen.append((now, iteration))
        while len(self._seen) > 2 and now - self._seen[1][0] > SPEED_WINDOW:
            self._seen.pop(0)

    @property
    def rate(self) -> float | None:
        """Iterations per second; None before the second call of `reached`."""
        if len(self._seen) < 2:
            return None
        (before, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - before) if last > first and now > before else None


class Curves:
    """Redraws a run's curves from time to time, with at most a small share of the time.

    `draw` draws them; it raises ValueError if there is nothing to draw yet.
    """

    def __init__(self, draw: Callable[[], object]) -> None:
        self.draw = draw
        self._next = time.monotonic() + FIRST_DRAWING

    def renew(self, at_once: bool = False) -> None:
        """Draw, if it is time; a picture that cannot be written does not stop the training."""
        start = time.monotonic()
        if start < self._next and not at_once:
            return
        with suppress(ValueError, OSError):  # nothing to draw yet, or it cannot be written
            self.draw()
        took = time.monotonic() - start
        self._next = start + took / DRAWING_SHARE


def _values(values: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in values.items())


def _number(value: float | None) -> str:
    return "nan" if value is None else f"{value:.4g}"


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    days, hours = divmod(hours, 24)
    clock = f"{hours:d}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{days} days {clock}" if days else clock
