"""Figure 6: photographs, each with a network's predictions for every task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from netgen.evaluation.prediction import Prediction, RankedClass
from netgen.evaluation.results import TOP
from netgen.figures.style import INK, TASK_COLORS, save_figure

if TYPE_CHECKING:
    from netgen.evaluation.prediction import Pixels, ReadPixels

# The columns of the paper's figure, in its order; other tasks have their own names.
FIGURE_6 = {"adj": "Adjectives", "anp": "Adj-Noun Pairs", "noun": "Nouns"}
ROW, COLUMN, HEAD = 1.25, 2.3, 0.32  # inches
SIDE = 240  # pixels of a photograph, in width and height
MOST_ROWS = 100  # a picture of more is too high for most programs
LEADING, BAR = 0.19, 0.15  # of a row's height: from line to line; of the bar behind one


def draw_predictions(predictions: Sequence[Prediction], read_pixels: ReadPixels, out: Path) -> None:
    """Draw predictions, one row per image, into a .png, .svg or .pdf.

    `read_pixels` returns the pixels of an image by its name, in colour; about `SIDE` wide and high.

    Raises
    ------
    ValueError
        An image can no longer be read.
    OSError
        `out` could not be written.
    """
    save_figure(lambda: predictions_figure(predictions, read_pixels), out, many_colors=True)


def predictions_figure(predictions: Sequence[Prediction], read_pixels: ReadPixels) -> Figure:
    """Return one row per image and one column per task: names, on bars, with their probabilities.

    Of each task, the first five classes are shown.
    """
    titles = _titles(list(predictions[0].tasks))
    width, height = ROW + COLUMN * len(titles) + 0.15, HEAD + ROW * len(predictions)
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for column, title in enumerate(titles.values()):
        x = ROW + COLUMN * column + 0.1
        axes.text(x, HEAD / 2, title, fontsize=10, fontweight="bold", color=INK, va="center")
    for row, prediction in enumerate(predictions):
        top = HEAD + ROW * row
        axes.plot([0.05, width - 0.05], [top, top], color="#C5CDD5", linewidth=0.7)
        _draw_photograph(axes, read_pixels(prediction.image), top)
        for column, task in enumerate(titles):
            left = ROW + COLUMN * column + 0.1
            _draw_guesses(axes, prediction.tasks[task], left, top, TASK_COLORS[column % 6])
    return figure


def _titles(tasks: Sequence[str]) -> dict[str, str]:
    if set(tasks) <= FIGURE_6.keys():
        return {task: title for task, title in FIGURE_6.items() if task in tasks}
    return {task: task for task in tasks}


def _draw_photograph(axes: Axes, pixels: Pixels, top: float) -> None:
    box = (0.08, ROW - 0.08, top + ROW - 0.08, top + 0.08)
    axes.imshow(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), extent=box, aspect="auto", zorder=2)


def _draw_guesses(
    axes: Axes, guesses: Sequence[RankedClass], left: float, top: float, color: str
) -> None:
    width = COLUMN - 0.25
    for place, guess in enumerate(guesses[:TOP]):
        y = top + ROW * (0.5 + LEADING * (place - (TOP - 1) / 2))
        length, height = width * guess.probability, ROW * BAR
        axes.add_patch(
            Rectangle((left, y - height / 2), length, height, color=color, alpha=0.22, linewidth=0)
        )
        name = str(guess.label) if guess.name is None else guess.name
        how: dict[str, Any] = {"fontsize": 8.5, "color": INK, "va": "center_baseline", "zorder": 3}
        axes.text(left + 0.05, y, name, **how)
        axes.text(left + width, y, percent(guess.probability), ha="right", **how)


def percent(probability: float) -> str:
    """Return a probability as a whole percentage; what is small but not nothing is less than 1%."""
    return "<1%" if 0 < probability < 0.005 else f"{probability:.0%}"
