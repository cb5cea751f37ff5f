"""Training curves: losses and tests of runs, and means of networks over several seeds."""

from __future__ import annotations

import math
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netgen.caffe.training_log import NetOutputs, read_log
from netgen.figures.style import (
    Range,
    add_legend,
    chart_row,
    in_legend,
    line_color,
    line_style,
    save_figure,
    set_titles,
)
from netgen.system.files import check_regular
from netgen.training.journal import read_journal

SMOOTH = 0.04  # the thick line's window, as a share of all displays
JOURNAL = "log.jsonl"
KINDS = ("loss_", "top1_", "top5_")  # prefixes of netgen's names of outputs, before the task

Curve = list[tuple[int, float]]  # iteration, value
TaskRanges = Mapping[str, Sequence[tuple[int, Range]]]  # task -> iteration, accuracies in percent


class CurvesError(ValueError):
    """A file without a training in it; the message says what to do."""


@dataclass(frozen=True)
class RunCurves:
    """A training's curves: each output's values, and when the rate dropped to what."""

    name: str
    train: Mapping[str, Curve]
    test: Mapping[str, Curve]
    drops: Sequence[tuple[int, float | None]]


def draw_curves(logs: Sequence[Path], out: Path) -> None:
    """Draw trainings' curves so far; each log is a run's folder, its journal, or a log of Caffe's.

    Raises
    ------
    ValueError
        There is no display of a loss and no test in one of them yet.
    OSError
        A file could not be read or written.
    """
    runs = [read_run(log) for log in logs]
    save_figure(lambda: curves_figure(runs), out)


def read_run(path: Path) -> RunCurves:
    """Read a training's curves: of a run's folder, its journal, or a log of Caffe's.

    Raises
    ------
    ValueError, OSError
        It is none of these, or there is nothing to draw in it yet.
    """
    file = path / JOURNAL if path.is_dir() else path
    check_regular(file)
    with file.open("rb") as content:
        is_journal = content.read(4).removeprefix(BOM_UTF8)[:1] == b"{"
    if not is_journal:
        log = read_log(file)
        return RunCurves(file.stem, _curves(log.train), _curves(log.test), ())
    entries = read_journal(file)
    of = {event: [e for e in entries if e["event"] == event] for event in ("train", "test", "drop")}
    found = {
        event: _curves(NetOutputs(e["iteration"], e["outputs"]) for e in of[event])
        for event in ("train", "test")
    }
    if not found["train"] and not found["test"]:
        raise CurvesError(f"{file}: no loss and no test in it yet: wait for the first display")
    drops = [(entry["iteration"], entry["lr"]) for entry in of["drop"]]
    return RunCurves(file.absolute().parent.name, found["train"], found["test"], drops)


def _curves(readings: Iterable[NetOutputs]) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for reading in readings:
        for output, value in reading.values.items():
            if value is not None and math.isfinite(
                value
            ):  # omitted: a connecting line is clearer than a gap
                curves.setdefault(output, []).append((reading.iteration, value))
    return curves


def curves_figure(runs: Sequence[RunCurves]) -> Figure:
    """Return a chart of losses and one of test results; a colour per task, a dash style per run."""
    losses = {output for run in runs for output in run.train}
    tested = any(output not in losses for run in runs for output in run.test)
    figure, axes = chart_row(1 + tested)
    tasks = list(dict.fromkeys(_task(o) for run in runs for o in (*run.train, *run.test)))
    colors = {task: line_color(index) for index, task in enumerate(tasks)}
    for index, run in enumerate(runs):
        name = f" ({run.name})" if len(runs) > 1 else ""
        _draw_losses(axes[0], run, colors, index, name)
        if tested:
            _draw_tests(axes[1], run, losses, colors, index, name)
        for panel in axes:
            _draw_drops(panel, run)
    set_titles(axes[0], "Loss", "iteration", "training loss; dots: test")
    add_legend(axes[0])
    if tested:
        set_titles(axes[1], "Test accuracy", "iteration", "%; thin: top-5")
        add_legend(axes[1])
    return figure


def _draw_losses(
    axes: Axes, run: RunCurves, colors: Mapping[str, str], dash: int, name: str
) -> None:
    for output, curve in run.train.items():
        x, y = zip(*curve, strict=True)
        tint = colors[_task(output)]
        axes.plot(x, y, color=tint, linewidth=0.6, alpha=0.3)
        line = line_style(dash)
        axes.plot(
            x,
            _smooth(y),
            color=tint,
            linewidth=1.6,
            linestyle=line,
            label=in_legend(_task(output)) + name,
        )
        if output in run.test:
            x, y = zip(*run.test[output], strict=True)
            axes.plot(x, y, color=tint, marker="o", markersize=3.2, linewidth=0)
    axes.set_ylim(bottom=0)


def _draw_tests(
    axes: Axes, run: RunCurves, losses: set[str], colors: Mapping[str, str], dash: int, name: str
) -> None:
    for output, curve in run.test.items():
        if output in losses:
            continue
        x, y = zip(*((at, 100 * value) for at, value in curve), strict=True)
        best = not output.startswith("top5_")
        axes.plot(
            x, y, color=colors[_task(output)], linestyle=line_style(dash), marker="o",
            markersize=3.2 if best else 2, linewidth=1.6 if best else 0.7,
            label=in_legend(_task(output)) + name if best else None, clip_on=False,
        )  # fmt: skip
    axes.set_ylim(0, 100)


def _draw_drops(axes: Axes, run: RunCurves) -> None:
    for iteration, rate in run.drops:
        axes.axvline(iteration, color="#8894A0", linewidth=0.8, linestyle=(0, (1, 1.5)))
        to = "the rate drops" if rate is None else f"rate {rate:g}"
        axes.annotate(
            to, (iteration, 1), (2, -2), xycoords=("data", "axes fraction"),
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


def draw_mean_curves(networks: Mapping[str, TaskRanges], tasks: Sequence[str], out: Path) -> None:
    """Draw the mean accuracy of each network over its trainings, and their range.

    Parameters
    ----------
    networks
        Title -> the mean of its trainings, and their range; some tasks may be missing.
    tasks
        The charts, in this order.
    out
        A .png, .svg or .pdf.

    Raises
    ------
    OSError
        `out` could not be written.
    """
    save_figure(lambda: mean_curves_figure(networks, tasks), out)


def mean_curves_figure(networks: Mapping[str, TaskRanges], tasks: Sequence[str]) -> Figure:
    """Return one chart per task, one line per network: mean and range over its trainings."""
    figure, axes = chart_row(len(tasks), (3.6, 3.2))
    for panel, task in zip(axes, tasks, strict=True):
        for index, (title, trained) in enumerate(networks.items()):
            if task not in trained:
                continue
            at = [iteration for iteration, _ in trained[task]]
            middle, low, high = zip(*(values for _, values in trained[task]), strict=True)
            color = line_color(index)
            panel.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)
            panel.plot(
                at, middle, color=color, marker="o", markersize=3, linewidth=1.5, label=title
            )
        panel.set_ylim(bottom=0)
        set_titles(panel, task, "iteration", "test accuracy, top-1, %" if panel is axes[0] else "")
    add_legend(axes[0])
    return figure
