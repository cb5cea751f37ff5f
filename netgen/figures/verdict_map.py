"""A map of verdicts: a panel per sentence, a cell per place; readable in grey, too."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from netgen.figures.style import INK, TASK_COLORS, TEXT_SIZE, save_figure

CELL = 0.27  # inches
NARROWEST = 1.75  # inches: a panel, for its title
LETTERS = 13  # of a title, in an inch
MOST_IN_ROW = 5


@dataclass(frozen=True)
class Sign:
    """How a verdict looks: dark, middle or white, each with a sign of its own."""

    fill: str
    ink: str
    sign: str


SIGNS = {
    "seen here": Sign(TASK_COLORS[0], "white", "+"),
    "not seen here": Sign(TASK_COLORS[1], INK, "−"),
    "undecided": Sign("white", "#8894A0", "·"),
}
NOTHING = Sign("#EEF1F4", "#8894A0", "")  # no network there


@dataclass(frozen=True)
class VerdictMap:
    """What to draw.

    Attributes
    ----------
    rows, columns
        The places' names: each panel has all of both.
    axis
        What the columns are.
    panels
        Each sentence, in short, and its verdicts row by row in the words of `SIGNS`; "" for none.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    axis: str
    panels: Sequence[tuple[str, Sequence[Sequence[str]]]]


def draw_map(what: VerdictMap, out: Path) -> None:
    """Draw a map into a .png, .svg or .pdf.

    Raises
    ------
    OSError
        `out` could not be written.
    """
    save_figure(lambda: map_figure(what), out)


def map_figure(what: VerdictMap) -> Figure:
    """Return the map: panels side by side, at most `MOST_IN_ROW` in a row."""
    across = min(len(what.panels), MOST_IN_ROW)
    down = -(-len(what.panels) // across)
    width = max(CELL * len(what.columns), NARROWEST)
    names = max(map(len, what.rows), default=0) / LETTERS
    titles = [textwrap.wrap(title, int(LETTERS * width)) for title, _ in what.panels]
    lines = max(map(len, titles))
    height = CELL * len(what.rows) + 0.16 * lines + 0.7
    size = (names + across * (width + 0.15) + 0.3, down * height + 0.35)
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for number, axes in enumerate(grid.flat):
        if number >= len(what.panels):
            axes.set_axis_off()
            continue
        _draw_panel(axes, what, what.panels[number][1], named=number % across == 0)
        axes.set_title(
            "\n".join(titles[number]), fontsize=TEXT_SIZE, color=INK, fontweight="bold", loc="left"
        )
    handles = [
        Patch(facecolor=sign.fill, edgecolor="#8894A0", label=f"{sign.sign}  {words}")
        for words, sign in SIGNS.items()
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, fontsize=TEXT_SIZE, frameon=False,
        labelcolor=INK,
    )  # fmt: skip
    return figure


def _draw_panel(
    axes: Axes, what: VerdictMap, verdicts: Sequence[Sequence[str]], named: bool
) -> None:
    for row, line in enumerate(verdicts):
        for column, verdict in enumerate(line):
            sign = SIGNS.get(verdict, NOTHING)
            axes.add_patch(
                Rectangle((column, row), 1, 1, facecolor=sign.fill, edgecolor="#8894A0", lw=0.5)
            )
            axes.text(
                column + 0.5, row + 0.5, sign.sign, ha="center", va="center", color=sign.ink,
                fontsize=TEXT_SIZE, fontweight="bold",
            )  # fmt: skip
    axes.set_xlim(0, len(what.columns))
    axes.set_ylim(len(what.rows), 0)
    axes.set_aspect("equal", anchor="NW")
    places = [number + 0.5 for number in range(max(len(what.rows), len(what.columns)))]
    turned = -45 if max(map(len, what.columns)) > 4 else 0  # to the right, where there is room
    axes.set_xticks(
        places[: len(what.columns)], what.columns, fontsize=TEXT_SIZE - 1, rotation=turned,
        ha="left" if turned else "center", rotation_mode="anchor",
    )  # fmt: skip
    axes.set_yticks(
        places[: len(what.rows)], what.rows if named else [""] * len(what.rows),
        fontsize=TEXT_SIZE - 1,
    )  # fmt: skip
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xlabel(what.axis, fontsize=TEXT_SIZE, color=INK, loc="left")
    for spine in axes.spines.values():
        spine.set_visible(False)
