"""The parts of a picture of networks: boxes, labels, sums, wires and bands, each in its place.

`layout` places them, `drawing` draws them. Lengths are pixels of the picture's natural size,
y grows downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from netgen.figures.style import FONT

Point = tuple[float, float]
Edges = tuple[float, float, float, float]  # left, top, right, bottom

TEXT, LEADING = 11.0, 13.5  # size of letters, and from line to line, in a box
RADIUS = 7.5  # of a sum


class WireKind(Enum):
    """What a wire is; the value is its name in the legend."""

    FLOW = ""
    IDENTITY = "identity shortcut"
    PROJECTION = "1×1 projection"
    PROJECTION_RELU = "1×1 projection, ReLU"
    WEIGHTED = "own shortcut, weighted"
    CROSS = "cross-residual, weighted"
    CROSS_IDENTITY = "cross-residual, identity"
    CROSS_PROJECTION = "cross-residual of a projection"

    @property
    def is_cross(self) -> bool:
        """Whether it leads from one task to another."""
        return self in (WireKind.CROSS, WireKind.CROSS_IDENTITY, WireKind.CROSS_PROJECTION)


@dataclass(frozen=True)
class Part:
    """What an element stands for: layers of one of the picture's networks, by their names."""

    network: int
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Box:
    """A layer, or the three convolutions of a block, around the point (x, y).

    `task` is the task that it belongs to; None when the tasks share it.
    """

    x: float
    y: float
    width: float
    lines: tuple[str, ...]
    task: str | None = None
    of: Part | None = None

    @property
    def edges(self) -> Edges:
        """The box's left, top, right and bottom."""
        width, height = self.width / 2, box_height(len(self.lines)) / 2
        return (self.x - width, self.y - height, self.x + width, self.y + height)


@dataclass(frozen=True)
class Label:
    """A line of text whose left end (`anchor` 0), middle (0.5) or right end (1) is at (x, y)."""

    x: float
    y: float
    text: str
    size: float = TEXT
    bold: bool = False
    anchor: float = 0.5
    task: str | None = None
    of: Part | None = None

    @property
    def width(self) -> float:
        """How wide the text is."""
        return text_width(self.text, self.size, self.bold)

    @property
    def edges(self) -> Edges:
        """The text's left, top, right and bottom."""
        left = self.x - self.anchor * self.width
        return (left, self.y - self.size / 2, left + self.width, self.y + self.size / 2)


@dataclass(frozen=True)
class Sum:
    """An elementwise sum around the point (x, y)."""

    x: float
    y: float


@dataclass(frozen=True)
class Wire:
    """A line through `points`; it shows `count` connections of the network (legend: 0)."""

    line: WireKind
    points: tuple[Point, ...]
    arrow: bool = False
    count: int = 1
    source: str | None = None
    target: str | None = None
    of: Part | None = None


@dataclass(frozen=True)
class Band:
    """A shade behind the rows from `top` to `bottom`."""

    top: float
    bottom: float


Element = Box | Label | Sum | Wire | Band


@dataclass(frozen=True)
class Picture:
    """Everything to draw, and the tasks in the order of their colours."""

    width: float
    height: float
    tasks: tuple[str, ...]
    elements: tuple[Element, ...]


MATH = r"$\mathbf{"  # how a network's title begins; everything else is drawn as it is written


@cache
def text_width(text: str, size: float = TEXT, bold: bool = False) -> float:
    """Return how wide `text` is."""
    font = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    return float(
        TextToPath().get_text_width_height_descent(text, font, ismath=text.startswith(MATH))[0]
    )


def box_height(lines: int) -> float:
    """Return how high a box of so many lines is."""
    return LEADING * lines + 6
