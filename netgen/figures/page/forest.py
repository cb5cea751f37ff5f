"""Forest plots of a page: means with their intervals on a common zero line, each seed as a dot.

They are drawn row by row, in percent of a row's width and in pixels of its height, so that they are
as legible on a telephone as on a wide screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from netgen.figures.page.charts import ticks

MARGIN = 4.0  # percent, to either side
MIDDLE, DOTS, LANES, LANE = 9, 19, 3, 4  # pixels: of the interval, of the first dot; lanes of dots
ROW = 33  # pixels
# By the sign of a contrast: what the style calls it, and the mark of its mean, as SVG writes it.
KINDS = {1: "above", -1: "below", 0: "open"}
MARKS = {1: "M0-6L6,0L0,6L-6,0Z", -1: "M-5-5H5V5H-5Z", 0: "M-5,0a5,5,0,1,0,10,0a5,5,0,1,0-10,0Z"}


@dataclass(frozen=True)
class Dot:
    """A seed's own value; `cells` are the numbers of those that it is of, on the page."""

    seed: int
    value: float
    cells: tuple[int, ...]


@dataclass(frozen=True)
class ForestRow:
    """A contrast.

    Attributes
    ----------
    what, text
        Its name; its mean with the interval, as text.
    value, ends
        Its mean, and the ends of the interval; None where there is none.
    sign
        1 or -1 where the interval is above or below zero; else 0.
    tasks
        Those whose accuracies it is of; none where it is of cross weights.
    dots
        The seeds.
    """

    what: str
    text: str
    value: float
    ends: tuple[float, float] | None
    sign: int
    tasks: tuple[str, ...]
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Forest:
    """Contrasts that share an axis."""

    rows: Sequence[ForestRow]

    @cached_property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value, zero among them."""
        values = [0.0]
        for row in self.rows:
            values += [row.value, *(row.ends or ()), *(dot.value for dot in row.dots)]
        low, high = min(values), max(values)
        return (low, high) if high > low else (-1.0, 1.0)

    def x(self, value: float) -> float:
        """Return the place of a value, in percent of the width."""
        low, high = self.limits
        # Divided first, so that the range of the largest doubles is none that overflows.
        share = (value / 2 - low / 2) / (high / 2 - low / 2)
        return round(MARGIN + (100 - 2 * MARGIN) * share, 2)

    def ticks(self) -> list[tuple[float, str]]:
        """Return the ticks of the axis: place and text."""
        return ticks(*self.limits, self.x, lambda value: f"{value:+g}" if value else "0")

    def dots(self, row: ForestRow) -> Iterator[tuple[float, int]]:
        """Yield the place of each dot of a row: in percent, and in pixels; in lanes, by turns."""
        for number, dot in enumerate(row.dots):
            yield self.x(dot.value), DOTS + LANE * (number % LANES)

    @property
    def seeds(self) -> list[int]:
        """All seeds of all rows."""
        return sorted({dot.seed for row in self.rows for dot in row.dots})

    def by_seed(self, row: ForestRow) -> list[str]:
        """Return a row's values in the order of all seeds, "" for those that it lacks."""
        values = {dot.seed: f"{dot.value:+.2f}" for dot in row.dots}
        return [values.get(seed, "") for seed in self.seeds]
