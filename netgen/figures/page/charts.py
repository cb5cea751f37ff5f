"""Charts of a page: lines over iterations or channels, in pixels of their natural size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from netgen.figures.page.thinning import Points

WIDTH, HEIGHT = 960, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 34  # around the lines
COLORS, DASHES = 6, 4  # of page.css


@dataclass(frozen=True)
class Line:
    """A line of a chart: a colour by its task, dashes by its run; or dots.

    `band` is the lowest and the highest value at each of its places, drawn behind it.
    """

    label: str
    run: str
    points: Points
    color: int = 0
    dash: int = 0
    dots: bool = False
    thin: bool = False
    band: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Mark:
    """Something that happened at an iteration, with its text."""

    iteration: int
    kind: str
    text: str


@dataclass(frozen=True)
class Chart:
    """Lines with a common axis of iterations, up to `end`; `unit` is written beside the values.

    `axis` names what is there in place of iterations.
    """

    name: str
    title: str
    unit: str
    lines: Sequence[Line]
    end: int
    marks: Sequence[Mark] = ()
    by_factors: bool = False  # a logarithmic axis
    limits: tuple[float, float] | None = None
    axis: str = "iteration"
    size: tuple[int, int] = field(default=(WIDTH, HEIGHT))

    def data(self, lines: Sequence[object]) -> dict[str, Any]:
        """Return what the page's program reads of it, with what it reads of the lines."""
        return {"name": self.name, "end": self.end, "axis": self.axis, "lines": lines}

    def x(self, iteration: float) -> float:
        """Return the place of an iteration."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * iteration / max(self.end, 1), 1)

    def y(self, value: float) -> float:
        """Return the place of a value; what is outside of the limits is at their end."""
        low, high = self.range
        share = (self._scaled(value) - low) / (high - low)
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(max(share, 0), 1), 1)

    @cached_property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value of the axis; of their logarithms `by_factors`."""
        values = [self._scaled(value) for line in self.lines for _, value in line.points]
        values += [self._scaled(value) for line in self.lines for of in line.band for value in of]
        low, high = self.limits or (min(values), max(values))
        if self.limits is None and not self.by_factors:
            low = min(low, 0.0)
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.by_factors else value

    def path(self, line: Line) -> str:
        """Return a line as SVG writes it."""
        return self._drawn(line.points)

    def area(self, line: Line) -> str:
        """Return a line's band as SVG writes it."""
        lowest = [(at, low) for (at, _), (low, _) in zip(line.points, line.band, strict=True)]
        highest = [(at, high) for (at, _), (_, high) in zip(line.points, line.band, strict=True)]
        return self._drawn([*lowest, *reversed(highest)]) + "Z"

    def _drawn(self, points: Points) -> str:
        places = [f"{self.x(at):g},{self.y(value):g}" for at, value in points]
        return "M" + "L".join(places)

    def iterations(self) -> list[tuple[float, str]]:
        """Return the ticks of the axis of iterations: place and text."""
        return ticks(0, max(self.end, 1), self.x, lambda value: f"{value:,.0f}")

    def values(self) -> list[tuple[float, str]]:
        """Return the ticks of the axis of values: place and text."""
        low, high = self.range
        if self.by_factors:
            powers = range(math.floor(low), math.ceil(high) + 1)
            inside = [power for power in powers if low - 0.01 <= power <= high + 0.01]
            return [(self.y(10.0**power), f"{10.0**power:g}") for power in inside]
        return ticks(low, high, self.y, lambda value: f"{value:g}")


def ticks(
    low: float, high: float, place: Callable[[float], float], text: Callable[[float], str]
) -> list[tuple[float, str]]:
    """Return about six round values of an axis, as place and text."""
    from matplotlib.ticker import MaxNLocator

    values = MaxNLocator(6).tick_values(low, high)
    return [(place(float(v)), text(float(v))) for v in values if low - 1e-9 <= v <= high + 1e-9]
