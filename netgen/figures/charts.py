"""What our charts have in common: quiet axes, few lines, colours that the colour-blind can tell."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netgen.figures.drawing import INK, TASK_COLORS

GRID = "#DDE2E7"
TITLE, TEXT = 10.5, 8.5  # points
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)))
PANEL = (4.6, 3.4)  # inches


def panels(count: int, size: tuple[float, float] = PANEL) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with `count` charts side by side."""
    width, height = size
    figure = Figure(figsize=(width * count, height), facecolor="white", layout="constrained")
    row = figure.subplots(1, count, squeeze=False)[0]
    for axes in row:
        _quiet(axes)
    return figure, list(row)


def color(index: int) -> str:
    """Return the colour of the line of that index."""
    return TASK_COLORS[index % len(TASK_COLORS)]


def dashes(index: int) -> object:
    """Return how a line is dashed: they take turns, from solid on."""
    return DASHES[index % len(DASHES)]


def entitle(axes: Axes, title: str, x: str = "", y: str = "") -> None:
    """Give a chart its title and its axes' names."""
    axes.set_title(title, fontsize=TITLE, color=INK, fontweight="bold", loc="left")
    axes.set_xlabel(x, fontsize=TEXT, color=INK)
    axes.set_ylabel(y, fontsize=TEXT, color=INK)


def legend(axes: Axes, columns: int = 1) -> None:
    """Draw a legend without a frame where it hides least, over what is behind it."""
    drawn = axes.legend(loc="best", ncols=columns, fontsize=TEXT, labelcolor=INK, framealpha=0.85)
    drawn.get_frame().set_linewidth(0)


def _quiet(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#8894A0")
    axes.tick_params(labelsize=TEXT, colors="#5A6672", labelcolor=INK, length=3)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
