"""A result's confusion matrices, one per task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from netgen.evaluation.results import Result, TaskResult
from netgen.figures.style import INK, TASK_COLORS, TEXT_SIZE, as_drawn, save_figure, set_titles

MOST = 25  # classes that a matrix shows
NUMBERED = 12  # up to so many classes, the cells have numbers
CELL, LABELS = 0.23, 1.3  # inches: of a cell, and for the names
BLUES = LinearSegmentedColormap.from_list("blues", ["white", TASK_COLORS[0], "#00304D"])


def draw_confusions(result: Result, tasks: Sequence[str], out: Path) -> None:
    """Draw the confusions of these tasks into a .png, .svg or .pdf.

    Raises
    ------
    OSError
        `out` could not be written.
    """
    chosen = [result.task(name) for name in tasks]
    save_figure(lambda: confusions_figure(chosen), out)


def confusions_figure(tasks: Sequence[TaskResult]) -> Figure:
    """Return one matrix per task: rows are the true classes, columns the predicted ones.

    If there are many classes, it shows those most often confused.
    """
    shown = [_most_confused(task) for task in tasks]
    sizes = [max(CELL * len(classes), 2.2) + LABELS for classes in shown]
    figure = Figure(figsize=(sum(sizes), max(sizes) + 0.4), facecolor="white", layout="constrained")
    row = figure.subplots(1, len(tasks), squeeze=False, width_ratios=sizes)[0]
    for axes, task, classes in zip(row, tasks, shown, strict=True):
        _draw_matrix(axes, task, classes)
    return figure


def _most_confused(task: TaskResult) -> list[int]:
    """Return the classes to show, in label order."""
    if task.classes <= MOST:
        return list(range(task.classes))
    chosen: dict[int, None] = {}
    for confusion in task.confusions:  # the most frequent first
        pair = dict.fromkeys((confusion.truth, confusion.guess))
        if len(chosen | pair) <= MOST:
            chosen |= pair
    return sorted(chosen)


def _draw_matrix(axes: Axes, task: TaskResult, classes: Sequence[int]) -> None:
    shares = 100 * _shares(task)[np.ix_(classes, classes)]
    axes.imshow(shares, cmap=BLUES, vmin=0, vmax=100, interpolation="nearest")
    names = [as_drawn(task.names[index]) if task.names else str(index) for index in classes]
    places = range(len(classes))
    axes.set_xticks(places, names, rotation=90, fontsize=TEXT_SIZE - 1.5)
    axes.set_yticks(places, names, fontsize=TEXT_SIZE - 1.5)
    axes.tick_params(length=0, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_color("#C5CDD5")
    if len(classes) <= NUMBERED:
        _write_numbers(axes, shares)
    all_or_some = "" if len(classes) == task.classes else f": {len(classes)} of {task.classes}"
    set_titles(axes, f"{task.name}{all_or_some}", "predicted class, %", "true class")


def _shares(task: TaskResult) -> NDArray[np.float64]:
    """Return each true class's share of predictions, truth x guess; rows of no images are zero."""
    counts = np.diag(np.array([of.top1 for of in task.of_class], np.float64))
    for confusion in task.confusions:
        counts[confusion.truth, confusion.guess] = confusion.count
    return counts / np.maximum([[of.total] for of in task.of_class], 1)


def _write_numbers(axes: Axes, shares: NDArray[np.float64]) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share > 0.5:
            tint = "white" if share > 45 else INK
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=6, color=tint)
