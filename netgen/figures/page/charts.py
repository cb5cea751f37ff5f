"""Charts of a page: lines over iterations or channels, in pixels of their natural size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from netgen.figures.page.thinning import Points

WIDTH, HEIGHT = 960, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 34  # around the lines
COLORS, DASHES = 6, 8  # of page.css
# Dots, each drawn from its middle: like dashes, they tell runs apart.
DOTS = (
    "m-3,0a3,3 0 1 0 6,0a3,3 0 1 0 -6,0z",
    "m-3,-3h6v6h-6z",
    "m0,-4.5l4.5,8h-9z",
    "m0,-4.5l4.5,4.5l-4.5,4.5l-4.5,-4.5z",
    "m0,4.5l4.5,-8h-9z",
    "m-1.5,-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
    "m-4,-4h8l-8,8h8z",
    "m-4,-4v8l8,-8v8z",
)
NEAR = 14  # pixels: ticks that are nearer to each other cannot be read


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

    def form(self, line: Line) -> str:
        """Return the form of a line's dots, drawn from their middle: it tells the run."""
        return DOTS[line.dash]

    def dots(self, line: Line) -> str:
        """Return a line's points as dots, as SVG writes them."""
        form = self.form(line)
        return "".join(f"M{self.x(at):g},{self.y(value):g}{form}" for at, value in line.points)

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
            return list(self._factors())
        return ticks(low, high, self.y, lambda value: f"{value:g}")

    def _factors(self) -> Iterator[tuple[float, str]]:
        """Yield the ticks of a logarithmic axis: the ends, powers of ten, and values that occur."""
        low, high = self.range
        found = sorted({value for line in self.lines for _, value in line.points})
        powers = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
        taken: list[float] = []
        for value in (found[-1], found[0], *powers, *found):
            place = self.y(value)
            if all(abs(place - other) >= NEAR for other in taken):
                taken.append(place)
                yield place, f"{value:g}"


def ticks(
    low: float, high: float, place: Callable[[float], float], text: Callable[[float], str]
) -> list[tuple[float, str]]:
    """Return about six round values of an axis, as place and text."""
    from matplotlib.ticker import MaxNLocator

    values = MaxNLocator(6).tick_values(low, high)
    return [(place(float(v)), text(float(v))) for v in values if low - 1e-9 <= v <= high + 1e-9]
