"""What goes on inside networks: cross weights over the training, and the sizes of blocks' sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from netgen.figures.style import (
    INK,
    PANEL,
    TEXT_SIZE,
    Range,
    add_legend,
    chart_row,
    in_legend,
    line_color,
    line_style,
    save_figure,
    set_titles,
    style_axes,
)

Lines = Mapping[str, Sequence[tuple[int, Range]]]  # name -> iteration and its values, in order
SMALL = (2.8, 2.3)  # inches, of a chart where there are several


def draw_histories(charts: Mapping[str, Mapping[str, Lines]], out: Path) -> None:
    """Draw lines over the training, with their ranges: a row per quantity, a column per title.

    `charts` is title -> quantity -> lines; all titles have the same quantities.

    Raises
    ------
    OSError
        `out` could not be written.
    """
    save_figure(lambda: histories_figure(charts), out)


def histories_figure(charts: Mapping[str, Mapping[str, Lines]]) -> Figure:
    """Return the lines over the training as a figure; those of one title alone side by side."""
    quantities = list(next(iter(charts.values())))
    width, height = SMALL if len(charts) > 2 else PANEL
    down, across = (len(quantities), len(charts)) if len(charts) > 1 else (1, len(quantities))
    figure = Figure(
        figsize=(width * across, height * down), facecolor="white", layout="constrained"
    )
    grid = figure.subplots(down, across, squeeze=False, sharey="row" if down > 1 else False)
    for column, (title, of) in enumerate(charts.items()):
        for row, (quantity, lines) in enumerate(of.items()):
            axes = grid[row][column] if down > 1 else grid[0][row]
            style_axes(axes)
            for number, (name, points) in enumerate(lines.items()):
                _draw_line(axes, name, points, number)
            set_titles(
                axes, "" if row else title, "iteration" if row + 1 == len(of) or down == 1 else "",
                "" if column else quantity,
            )  # fmt: skip
            axes.set_ylim(bottom=0)
    add_legend(grid[0][0])
    return figure


def _draw_line(axes: Axes, name: str, points: Sequence[tuple[int, Range]], number: int) -> None:
    at = [iteration for iteration, _ in points]
    middle, low, high = zip(*(values for _, values in points), strict=True)
    color = line_color(number)
    axes.plot(
        at, middle, color=color, linestyle=line_style(number), marker="o", markersize=3,
        linewidth=1.5, label=in_legend(name),
    )  # fmt: skip
    axes.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)


def draw_sizes(
    charts: Mapping[str, Mapping[str, Sequence[Range]]], places: Sequence[str], x: str, out: Path
) -> None:
    """Draw each line's size at each place, on a logarithmic scale: a chart per title.

    `x` is what the places are.

    Raises
    ------
    OSError
        `out` could not be written.
    """
    save_figure(lambda: sizes_figure(charts, places, x), out)


def sizes_figure(
    charts: Mapping[str, Mapping[str, Sequence[Range]]], places: Sequence[str], x: str
) -> Figure:
    """Return the sizes as a figure."""
    figure, row = chart_row(len(charts))
    for number, (axes, (title, lines)) in enumerate(zip(row, charts.items(), strict=True)):
        for index, (name, values) in enumerate(lines.items()):
            middle, low, high = zip(*values, strict=True)
            at = [place + 0.08 * (index - (len(lines) - 1) / 2) for place in range(len(places))]
            spread = [
                [max(0, m - b) for m, b in zip(middle, low, strict=True)],
                [max(0, t - m) for m, t in zip(middle, high, strict=True)],
            ]
            axes.errorbar(
                at, middle, spread, color=line_color(index), linestyle=line_style(index),
                marker="os^Dv"[index % 5], markersize=4, linewidth=1.3, capsize=2,
                label=in_legend(name),
            )  # fmt: skip
        axes.set_yscale("log")
        for axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            axis(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.tick_params(axis="y", which="minor", labelsize=TEXT_SIZE - 1, labelcolor=INK)
        axes.set_xticks(range(len(places)), places)
        axes.set_xlim(-0.5, len(places) - 0.5)
        set_titles(axes, title, x, "" if number else "root mean square")
    add_legend(row[0])
    return figure
