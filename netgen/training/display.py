"""What a run shows as it works: a bar on a terminal, else a line a display; and its curves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from netgen.training.messages import Beat
from netgen.training.plan import Plan

FIRST = 60.0  # seconds until curves are drawn
DRAWING = 0.01  # share of the time that may go into drawing them
WORDS = {"training": "iteration", "replay": "data up to where it was: batch", "test": "test"}
SHORT = 10  # characters of the bar
SPEED_OVER = 60.0  # seconds


class Display:
    """Shows a run's journal and beats; to be entered before it is told."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self.console, self.plan = console, plan
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(SHORT),
            TextColumn("{task.fields[pace]}", table_column=Column(no_wrap=True)),
            # What a narrow terminal has no room for:
            TextColumn("{task.fields[loss]}", table_column=Column(no_wrap=True, ratio=1)),
            console=console, expand=True, transient=True, disable=not console.is_terminal,
            refresh_per_second=2,
        )  # fmt: skip
        self._task: TaskID = self._progress.add_task("Caffe starts", total=None, pace="", loss="")
        self._speed = Speed()
        self._outputs = ""

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show in a with block."""
        with self._progress:
            yield

    def said(self, text: str) -> None:
        """Show a sentence."""
        self.console.print(text, soft_wrap=True, markup=False, highlight=False)

    def heard(self, message: Any) -> None:
        """Show what the worker tells."""
        if isinstance(message, Beat):
            self._beat(message)
        elif line := self.line(message):
            self.said(line)

    def line(self, entry: dict[str, Any]) -> str | None:
        """Return a journal's entry as a line; None where it needs none."""
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

    def _beat(self, beat: Beat) -> None:
        text, pace, loss = f"{WORDS[beat.what]} {beat.done:,} of {beat.of:,}", "", ""
        if beat.what == "training":
            self._speed.reached(beat.done)
            loss = f"loss {_number(beat.loss)} ({self._outputs})"
            pace = f"epoch {self.plan.epoch(beat.done):.2f}{self._pace(beat.done)}"
        self._progress.update(
            self._task, description=text, completed=beat.done, total=beat.of, pace=pace, loss=loss
        )

    def _pace(self, iteration: int) -> str:
        """Return the rate and the time that is left, as far as known."""
        rate = self._speed.rate
        if not rate:
            return ""
        left = int((self.plan.parameters.max_iter - iteration) / rate)
        pace = f"{rate:.2f} it/s" if rate > 1 else f"{1 / rate:.2f} s/it"
        return f", {pace}, {_duration(left)} left"


class Speed:
    """Iterations a second, over the last minute."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def reached(self, iteration: int) -> None:
        """Note that so many iterations are done."""
        now = time.monotonic()
        self._seen.append((now, iteration))
        while len(self._seen) > 2 and now - self._seen[1][0] > SPEED_OVER:
            self._seen.pop(0)

    @property
    def rate(self) -> float | None:
        """Iterations a second; None as long as there were none."""
        if len(self._seen) < 2:
            return None
        (before, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - before) if last > first and now > before else None


class Curves:
    """Draws a journal anew now and then, and never spends more than a share of the time on it."""

    def __init__(self, journal: Path, out: Path) -> None:
        self.journal, self.out = journal, out
        self._next = time.monotonic() + FIRST

    def renew(self, at_once: bool = False) -> None:
        """Draw, if it is time; a picture that cannot be written is no reason to stop a training."""
        start = time.monotonic()
        if start < self._next and not at_once:
            return
        from netgen.figures.curves import draw_curves

        with suppress(ValueError, OSError):  # nothing to draw yet, or no place to draw it
            draw_curves([self.journal], self.out)
        took = time.monotonic() - start
        self._next = start + took / DRAWING


def _values(values: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in values.items())


def _number(value: float | None) -> str:
    return "nan" if value is None else f"{value:.4g}"


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    days, hours = divmod(hours, 24)
    clock = f"{hours:d}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{days} days {clock}" if days else clock
