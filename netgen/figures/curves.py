"""Training curves, from a run's journal or a log of Caffe's: losses, and beside them tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netgen.caffe.training_log import NetOutputs, read_log
from netgen.figures.charts import color, dashes, entitle, legend, panels
from netgen.figures.saving import save
from netgen.training.journal import read_journal

SMOOTH = 0.04  # of the displays: the window of the thick line
JOURNAL = "log.jsonl"
KINDS = ("loss_", "top1_", "top5_")  # what netgen's names of outputs start with, before the task

Curve = list[tuple[int, float]]  # iteration, value


class CurvesError(ValueError):
    """A file without a training in it; the message says what next."""


@dataclass(frozen=True)
class Run:
    """What a training told: each output's values, and where the rate dropped, to what."""

    name: str
    train: Mapping[str, Curve]
    test: Mapping[str, Curve]
    drops: Sequence[tuple[int, float]]


def draw(log: Path, out: Path) -> None:
    """Draw a training's curves so far; `log` is a run's folder, its journal, or a log of Caffe's.

    Raises
    ------
    ValueError
        There is no display of a loss and no test in it yet.
    OSError
        A file could not be read or written.
    """
    draw_all([log], out)


def draw_all(logs: Sequence[Path], out: Path) -> None:
    """Draw the curves of several trainings in one picture. Otherwise as `draw`."""
    runs = [read_run(log) for log in logs]
    save(lambda: chart(runs), out)


def read_run(path: Path) -> Run:
    """Read a training's curves: of a run's folder, its journal, or a log of Caffe's.

    Raises
    ------
    ValueError, OSError
        It is none of these, or there is nothing to draw in it yet.
    """
    file = path / JOURNAL if path.is_dir() else path
    with file.open("rb") as content:
        is_journal = content.read(1) == b"{"
    if not is_journal:
        log = read_log(file)
        return Run(file.stem, _curves(log.train), _curves(log.test), ())
    entries = read_journal(file)
    of = {event: [e for e in entries if e["event"] == event] for event in ("train", "test", "drop")}
    told = {
        event: _curves(NetOutputs(e["iteration"], e["outputs"]) for e in of[event])
        for event in ("train", "test")
    }
    if not told["train"] and not told["test"]:
        raise CurvesError(f"{file}: no loss and no test in it yet: wait for the first display")
    drops = [(entry["iteration"], entry["lr"]) for entry in of["drop"]]
    return Run(file.absolute().parent.name, told["train"], told["test"], drops)


def _curves(readings: Iterable[NetOutputs]) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for reading in readings:
        for output, value in reading.values.items():
            if value is not None and math.isfinite(value):  # else a gap would say less
                curves.setdefault(output, []).append((reading.iteration, value))
    return curves


def chart(runs: Sequence[Run]) -> Figure:
    """Return losses and, beside them, what tests gave; a colour a task, a dash a run."""
    losses = {output for run in runs for output in run.train}
    tested = any(output not in losses for run in runs for output in run.test)
    figure, axes = panels(1 + tested)
    tasks = list(dict.fromkeys(_task(o) for run in runs for o in (*run.train, *run.test)))
    colors = {task: color(index) for index, task in enumerate(tasks)}
    for index, run in enumerate(runs):
        name = f" ({run.name})" if len(runs) > 1 else ""
        _draw_losses(axes[0], run, colors, index, name)
        if tested:
            _draw_tests(axes[1], run, losses, colors, index, name)
        for panel in axes:
            _draw_drops(panel, run)
    entitle(axes[0], "Loss", "iteration", "training loss; dots: test")
    legend(axes[0])
    if tested:
        entitle(axes[1], "Test accuracy", "iteration", "%; thin: top-5")
        legend(axes[1])
    return figure


def _draw_losses(axes: Axes, run: Run, colors: Mapping[str, str], dash: int, name: str) -> None:
    for output, curve in run.train.items():
        x, y = zip(*curve, strict=True)
        tint = colors[_task(output)]
        axes.plot(x, y, color=tint, linewidth=0.6, alpha=0.3)
        line = dashes(dash)
        axes.plot(
            x, _smooth(y), color=tint, linewidth=1.6, linestyle=line, label=_task(output) + name
        )
        if output in run.test:
            x, y = zip(*run.test[output], strict=True)
            axes.plot(x, y, color=tint, marker="o", markersize=3.2, linewidth=0)
    axes.set_ylim(bottom=0)


def _draw_tests(
    axes: Axes, run: Run, losses: set[str], colors: Mapping[str, str], dash: int, name: str
) -> None:
    for output, curve in run.test.items():
        if output in losses:
            continue
        x, y = zip(*((at, 100 * value) for at, value in curve), strict=True)
        best = not output.startswith("top5_")
        axes.plot(
            x, y, color=colors[_task(output)], linestyle=dashes(dash), marker="o",
            markersize=3.2 if best else 2, linewidth=1.6 if best else 0.7,
            label=_task(output) + name if best else None, clip_on=False,
        )  # fmt: skip
    axes.set_ylim(0, 100)


def _draw_drops(axes: Axes, run: Run) -> None:
    for iteration, rate in run.drops:
        axes.axvline(iteration, color="#8894A0", linewidth=0.8, linestyle=(0, (1, 1.5)))
        axes.annotate(
            f"rate {rate:g}", (iteration, 1), (2, -2), xycoords=("data", "axes fraction"),
            textcoords="offset points", rotation=90, va="top", fontsize=6.5, color="#5A6672",
        )  # fmt: skip


def _smooth(values: Sequence[float]) -> np.ndarray:
    """Return the mean of each value and the few around it, fewer at the ends."""
    half = int(SMOOTH * len(values) / 2)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    return np.asarray((sums[last] - sums[first]) / (last - first))


def _task(output: str) -> str:
    """Return the task that an output is about: ``top1_noun`` -> ``noun``; else its own name."""
    return next((output.removeprefix(k) for k in KINDS if output.startswith(k)), output)
