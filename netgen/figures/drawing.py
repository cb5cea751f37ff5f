"""Pictures of networks, drawn and written; `layout` places their parts."""

from __future__ import annotations

from collections.abc import Sequence
from math import dist
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path as Curve

from netgen.figures.shapes import (
    LEADING,
    MATH,
    RADIUS,
    Band,
    Box,
    Label,
    Picture,
    Point,
    Sum,
    Wire,
    WireKind,
)
from netgen.figures.style import CROSS_COLOR, FONT, INK, TASK_COLORS, save_figure

PALE = "#F4F6F8"  # behind every other row
# The dashes of the paper's Figure 4: lengths drawn and omitted, by turns.
DASHES = {
    WireKind.PROJECTION: (4.5, 1.8, 1.0, 1.8),
    WireKind.PROJECTION_RELU: (4.5, 1.8, 1.0, 1.8),
    WireKind.WEIGHTED: (3.2, 1.8),
    WireKind.CROSS: (3.2, 1.8),
    WireKind.CROSS_PROJECTION: (4.5, 1.8, 1.0, 1.8),
}


def draw_picture(picture: Picture, file: Path) -> None:
    """Draw `picture` into `file`, completely or not at all, in its suffix's format.

    Raises
    ------
    OSError
        The file could not be written; an existing file is unchanged.
    """
    save_figure(lambda: picture_figure(picture), file)


def picture_figure(picture: Picture) -> Figure:
    """Return `picture` as a figure of 100 pixels per inch."""
    figure = Figure(figsize=(picture.width / 100, picture.height / 100), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, picture.width), ylim=(picture.height, 0))
    axes.set_axis_off()
    colors = {task: TASK_COLORS[i % len(TASK_COLORS)] for i, task in enumerate(picture.tasks)}
    for element in picture.elements:
        if isinstance(element, Band):
            axes.axhspan(element.top, element.bottom, color=PALE, linewidth=0, zorder=0)
        elif isinstance(element, Wire):
            _draw_wire(axes, element)
        elif isinstance(element, Sum):
            _draw_sum(axes, element)
        elif isinstance(element, Box):
            _draw_box(axes, element, colors.get(element.task or ""))
        else:
            _draw_text(axes, element, _mixed(colors.get(element.task or "", INK), "black", 0.25))
    return figure


def _draw_box(axes: Axes, box: Box, color: str | None) -> None:
    left, top, right, bottom = box.edges
    axes.add_patch(
        FancyBboxPatch(
            (left, top),
            right - left,
            bottom - top,
            boxstyle="round,pad=0,rounding_size=4",
            # Shared boxes are white: some colour-blind people see the third task's green as grey.
            facecolor=_mixed(color, "white", 0.86) if color else "white",
            edgecolor=color or INK,
            linewidth=0.8,
            zorder=3,
        )
    )
    for index, line in enumerate(box.lines):
        y = box.y + LEADING * (index - (len(box.lines) - 1) / 2)
        _draw_text(axes, Label(box.x, y, line), INK)


def _draw_text(axes: Axes, label: Label, color: str) -> None:
    axes.text(
        label.x,
        label.y,
        label.text,
        fontfamily=FONT,
        fontsize=label.size * 0.72,  # points
        fontweight="bold" if label.bold else "normal",
        color=color,
        ha=("left", "center", "right")[round(2 * label.anchor)],
        va="center_baseline",
        zorder=5,
        parse_math=label.text.startswith(MATH),
    )


def _draw_sum(axes: Axes, total: Sum) -> None:
    x, y, arm = total.x, total.y, RADIUS * 0.55
    axes.add_patch(
        Circle((x, y), RADIUS, facecolor="white", edgecolor=INK, linewidth=0.9, zorder=4)
    )
    for dx, dy in ((arm, 0), (0, arm)):
        axes.plot([x - dx, x + dx], [y - dy, y + dy], color=INK, linewidth=0.9, zorder=4)


def _draw_wire(axes: Axes, wire: Wire) -> None:
    color = CROSS_COLOR if wire.line.is_cross else INK
    dashes = DASHES.get(wire.line)
    for points in _halves(wire.points) if dashes else [wire.points]:
        axes.add_patch(
            PathPatch(
                _rounded(points, 14 if wire.line.is_cross else 5),
                facecolor="none",
                edgecolor=color,
                linewidth=1.0 if wire.line.is_cross else 0.8,
                linestyle=(0, dashes) if dashes else "solid",
                zorder=2 if wire.line.is_cross else 1,
            )
        )
    if wire.line is not WireKind.FLOW and wire.count:
        axes.add_patch(Circle(wire.points[0], 1.8, color=color, linewidth=0, zorder=2.5))
    if wire.arrow:
        axes.add_patch(
            Polygon(_arrow_head(*wire.points[-2:]), color=color, linewidth=0, zorder=4.5)
        )


def _halves(points: Sequence[Point]) -> list[Sequence[Point]]:
    """Return a line as two, from its ends to its middle.

    Dashes begin at both ends, so lines that leave or arrive together show the same gaps.
    """
    (x1, y1), (x2, y2) = points[len(points) // 2 - 1 : len(points) // 2 + 1]
    middle = ((x1 + x2) / 2, (y1 + y2) / 2)
    half = len(points) // 2
    return [[*points[:half], middle], [*points[: half - 1 : -1], middle]]


def _rounded(points: Sequence[Point], radius: float) -> Curve:
    """Return the path through `points`, its corners rounded."""
    vertices, codes = [points[0]], [Curve.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        vertices += [_towards(corner, before, radius), corner, _towards(corner, after, radius)]
        codes += [Curve.LINETO, Curve.CURVE3, Curve.CURVE3]
    return Curve([*vertices, points[-1]], [*codes, Curve.LINETO])


def _arrow_head(before: Point, tip: Point) -> list[Point]:
    """Return the triangle of an arrow that ends at `tip`."""
    x, y = _towards(tip, before, 5.5, limit=1000)
    dx, dy = ((x - tip[0]) * 0.42, (y - tip[1]) * 0.42)
    return [tip, (x - dy, y + dx), (x + dy, y - dx)]


def _towards(start: Point, goal: Point, length: float, limit: float = 0.5) -> Point:
    """Return the point `length` from `start` towards `goal`, at most `limit` of the way."""
    share = min(length / (dist(start, goal) or 1), limit)
    return (start[0] + share * (goal[0] - start[0]), start[1] + share * (goal[1] - start[1]))


def _mixed(color: str, other: str, share: float) -> str:
    """Return `color` with that share of the other."""
    (r1, g1, b1), (r2, g2, b2) = to_rgb(color), to_rgb(other)
    return to_hex((r1 + share * (r2 - r1), g1 + share * (g2 - g1), b1 + share * (b2 - b1)))
