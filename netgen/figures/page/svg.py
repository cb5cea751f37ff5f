"""A picture as what an SVG of a page, and the program that moves its parts, are made from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import dist
from typing import Any

from netgen.figures.shapes import (
    LEADING,
    MATH,
    RADIUS,
    Band,
    Box,
    Element,
    Label,
    Picture,
    Point,
    Sum,
    Wire,
    WireKind,
)

BENDS = {True: 14, False: 5}  # radius of a wire's corners, of those between tasks and of others
TITLE_PART = re.compile(r"^\$\\mathbf\{(\w)_(\w)\}\$(.*)$")


@dataclass(frozen=True)
class Shown:
    """An element with what a page knows of it.

    Attributes
    ----------
    element
        Of the picture.
    layers
        The numbers of its layers, and `network`, which they are of.
    """

    element: Element
    network: int = 0
    layers: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        """The element's kind, in lower case."""
        return type(self.element).__name__.lower()

    @property
    def can_tell(self) -> bool:
        """Whether it stands for layers."""
        return bool(self.layers)


def shown_elements(picture: Picture, numbers: Sequence[Mapping[str, int]]) -> list[Shown]:
    """Return a picture's elements, those that cover others last: a keyboard goes in this order.

    `numbers` has the number of each layer by its name, for each network. Names that it lacks are of
    layers that the phase does not have.
    """
    return [_shown(element, numbers) for element in sorted(picture.elements, key=_height)]


def _shown(element: Element, numbers: Sequence[Mapping[str, int]]) -> Shown:
    part = None if isinstance(element, Band | Sum) else element.of
    if part is None:
        return Shown(element)
    known = numbers[part.network]
    layers = sorted(known[name] for name in part.layers if name in known)
    return Shown(element, part.network, tuple(layers))


def _height(element: Element) -> int:
    if isinstance(element, Wire):
        return 4 if element.line.is_cross else 1
    return {Band: 0, Box: 2, Sum: 3, Label: 5}[type(element)]


def element_data(shown: Shown, tasks: Sequence[str]) -> dict[str, Any]:
    """Return what a page's program needs to know of an element."""
    element = shown.element
    data: dict[str, Any] = {"kind": shown.kind}
    if isinstance(element, Wire):
        data["points"] = [[round(x, 1), round(y, 1)] for x, y in element.points]
        data |= {"bend": BENDS[element.line.is_cross], "cross": element.line.is_cross}
        data |= {"source": element.source, "target": element.target, "arrow": element.arrow}
    elif isinstance(element, Band):
        data |= {"top": round(element.top, 1), "bottom": round(element.bottom, 1)}
    else:
        data |= {"x": round(element.x, 1), "y": round(element.y, 1)}
    if isinstance(element, Box):
        left, top, right, bottom = element.edges
        data |= {"width": round(right - left, 1), "height": round(bottom - top, 1)}
        data["task"] = element.task
    if isinstance(element, Label):
        data["task"] = element.task
    if shown.can_tell:
        data |= {"network": shown.network, "layers": list(shown.layers)}
    return data


def path_of(points: Sequence[Point], bend: float) -> str:
    """Return the line through `points` as SVG writes it, its corners rounded."""
    drawn = [f"M{_text(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _towards(corner, before, bend), _towards(corner, after, bend)
        drawn.append(f"L{_text(start)}Q{_text(corner)} {_text(end)}")
    return "".join([*drawn, f"L{_text(points[-1])}"])


def arrow_of(points: Sequence[Point]) -> str:
    """Return the triangle at the end of a line, as SVG writes it."""
    before, tip = next(p for p in reversed(points[:-1]) if p != points[-1]), points[-1]
    share = 5.5 / dist(before, tip)
    x, y = (tip[0] + share * (before[0] - tip[0]), tip[1] + share * (before[1] - tip[1]))
    dx, dy = (x - tip[0]) * 0.42, (y - tip[1]) * 0.42
    return f"M{_text(tip)}L{_text((x - dy, y + dx))}L{_text((x + dy, y - dx))}Z"


def rows_of(box: Box) -> list[tuple[float, str]]:
    """Return the lines of a box's text with their heights."""
    first = box.y - LEADING * (len(box.lines) - 1) / 2
    return [(round(first + LEADING * index, 1), line) for index, line in enumerate(box.lines)]


def title_parts(label: Label) -> tuple[str, str, str]:
    """Return a label's text in three parts: the middle one is written lower, as in X_S."""
    found = TITLE_PART.match(label.text) if label.text.startswith(MATH) else None
    return (found[1], found[2], found[3]) if found else (label.text, "", "")


def line_class(line: WireKind) -> str:
    """Return the name of a kind of wires in the style."""
    return line.name.lower().replace("_", "-")


def _text(point: Point) -> str:
    return f"{round(point[0], 1):g},{round(point[1], 1):g}"


def _towards(start: Point, goal: Point, length: float) -> Point:
    share = min(length / (dist(start, goal) or 1), 0.5)
    return (start[0] + share * (goal[0] - start[0]), start[1] + share * (goal[1] - start[1]))


SUM_RADIUS, SUM_ARM = RADIUS, round(RADIUS * 0.55, 2)
