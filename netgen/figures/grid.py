"""The rows and columns of the paper's Figure 4, and the text in its boxes.

A path from the image to a head is a column; a row is the same place of the backbone in every
column, so that panels align. In a stage, equal blocks are one box; the last stage, where the
networks differ, has one box per block, and so have the tasks' blocks before it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from netgen.figures.shapes import RADIUS, TEXT, box_height, text_width
from netgen.network.blocks import Block, ConvUnit, Size, stages
from netgen.network.options import Branch, CrossWeight
from netgen.network.residual import ClassifierHead, ResidualNetwork, TaskNorm

TITLE = 15.0  # size of letters
TITLES = 54.0  # height of the titles above the rows
TAP = 11.0  # above its box, where a block's own shortcut leaves
LANE = 7.0  # between the lines on which activations leave for other tasks, above that
BELOW = 8.0  # from a box to the next element
PANEL_GAP = 16.0
GAP, CROSS_GAP = 25.0, 40.0  # between neighbouring boxes: without and with cross connections
CROSSING = 6.0  # what each further task adds to the latter

POOL1 = ("max pool", "3×3 /2")  # Table 1; in a network it is only a name
SUBTITLES = {
    CrossWeight.NONE: "standard multitask",
    CrossWeight.IDENTITY: "multitask, cross-residual (identity)",
    CrossWeight.SCALE: "multitask, cross-residual",
}


@dataclass(frozen=True)
class GridRow:
    """A place of the backbone: the height of its box, and of the space above and below it."""

    key: str
    size: Size
    above: float
    box: float
    below: float = BELOW
    top: float = 0.0

    @property
    def box_top(self) -> float:
        """Where its boxes begin."""
        return self.top + self.above

    @property
    def middle(self) -> float:
        """The middle of its boxes."""
        return self.box_top + self.box / 2

    @property
    def box_bottom(self) -> float:
        """Where its boxes end."""
        return self.box_top + self.box

    @property
    def sum(self) -> float:
        """The middle of its blocks' sums."""
        return self.box_bottom + BELOW + RADIUS

    @property
    def bottom(self) -> float:
        """Where the next row begins."""
        return self.box_bottom + self.below


@dataclass(frozen=True)
class Panel:
    """The networks under one title: a network of several tasks, or several of one task each.

    `first` is the number of the first of them among all networks of the picture.
    """

    networks: tuple[ResidualNetwork, ...]
    first: int
    box: float  # width of a box
    pitch: float  # from column to column
    width: float
    left: float

    @property
    def titles(self) -> tuple[str, str]:
        """Title and subtitle, with the depth of a backbone that differs from ResNet-50's."""
        net = self.networks[0]
        depth = 3 * len(path(net, net.heads[0].task)) + 2
        title = net.variant.row.title.replace("50", str(depth))
        title = re.sub(r"^(\w)_(\w)", r"$\\mathbf{\1_\2}$", title)
        if net.variant.row.branch is not Branch.NEVER:
            return title, SUBTITLES[net.variant.row.cross]
        return title, "single-task" + (", one network per task" if len(self.networks) > 1 else "")

    @property
    def columns(self) -> list[float]:
        """The middle of each task's column."""
        tasks = sum(len(net.heads) for net in self.networks)
        first = self.left + (self.width - self.pitch * (tasks - 1)) / 2
        return [first + self.pitch * index for index in range(tasks)]


def path(net: ResidualNetwork, task: str) -> list[Block]:
    """Return the blocks from the image to the head of `task`."""
    return [block for block in (*net.trunk, *net.towers) if block.task in (None, task)]


def groups(net: ResidualNetwork, task: str) -> list[list[Block]]:
    """Return the path of `task`, the blocks of one box together."""
    *early, last = stages(path(net, task))
    alike = [list(group) for stage in early for _, group in groupby(stage, key=_look)]
    return alike + [[block] for block in last]


def _look(block: Block) -> object:
    """Return what blocks in one box have in common; a task's own blocks have a box each."""
    return (block_lines(block), is_projected(block), block.task and block.name)


def is_projected(block: Block) -> bool:
    """Return whether the block's shortcut is a projection."""
    return block.projection is not None


def place(block: Block) -> str:
    """Return a block's place without its task, as in ``5b``: its row's key."""
    return block.name.removeprefix("res").split("_")[0]


def fork(net: ResidualNetwork) -> str | None:
    """Return the key of the row in which the tasks branch; None where they do not."""
    return f"fork after {place(net.trunk[-1])}" if net.towers else None


def is_crossed(net: ResidualNetwork, key: str) -> bool:
    """Return whether tasks add each other's activations in a row."""
    return any(len(block.addends) > 2 for block in net.towers if place(block) == key)


def unit_text(unit: ConvUnit) -> str:
    """Return a convolution as Table 1 writes it."""
    stride = f" /{unit.stride}" if unit.stride > 1 else ""
    return f"{unit.kernel_size}×{unit.kernel_size}, {unit.num_output}{stride}"


def block_lines(block: Block) -> tuple[str, ...]:
    """Return the text in a block's box: its three convolutions."""
    return tuple(unit_text(unit) for unit in (block.branch2a, block.branch2b, block.branch2c))


def norm_lines(norm: TaskNorm) -> tuple[str, ...]:
    """Return the text in the box of a task's normalisation."""
    whole = norm.norm.batch_norm and norm.norm.scale
    name = "BN" if whole else "BatchNorm" if norm.norm.batch_norm else "Scale"
    return (f"{name}, ReLU",)


def head_lines(head: ClassifierHead) -> tuple[str, ...]:
    """Return the text in a head's box."""
    return ("avg pool", f"{head.classes}-d fc", "softmax")


def rows(networks: Sequence[ResidualNetwork]) -> dict[str, GridRow]:
    """Return the rows from the image to the heads, by their keys, each in its place."""
    stacked, top = {}, TITLES
    for row in _rows(networks):
        stacked[row.key] = replace(row, top=top)
        top = stacked[row.key].bottom
    return stacked


def _rows(networks: Sequence[ResidualNetwork]) -> Iterator[GridRow]:
    net = networks[0]
    height, width = net.images.height, net.images.width
    yield GridRow("image", (height, width), 4, TEXT, 4)
    size = (math.ceil(height / net.conv1.stride), math.ceil(width / net.conv1.stride))
    yield GridRow("conv1", size, 13, box_height(1))
    if net.pool1:
        yield GridRow("pool1", net.trunk[0].shape[1:], 12, box_height(len(POOL1)))
    for group in groups(net, net.heads[0].task):
        key, size = place(group[0]), group[0].shape[1:]
        lanes = max(len(other.heads) * is_crossed(other, key) for other in networks)
        yield GridRow(key, size, TAP + 5 + LANE * lanes, box_height(3), BELOW + 2 * RADIUS + 5)
        parting = f"fork after {place(group[-1])}"
        if parting in map(fork, networks):
            has_norms = any(other.branching for other in networks)
            yield GridRow(parting, size, 24, box_height(1) if has_norms else 0)
    yield GridRow("head", (1, 1), 12, box_height(3), 30)


def panels(networks: Sequence[ResidualNetwork], left: float, width: float = 0.0) -> list[Panel]:
    """Return the panels side by side from `left`, together at least `width` wide."""
    box = max(text_width(text) for net in networks for text in _texts(net)) + 10
    together = _by_title(networks)
    firsts = accumulate(map(len, together), initial=0)
    found = [
        _panel(tuple(group), first, box, left)
        for group, first in zip(together, firsts, strict=False)
    ]
    spare = max(0, width - sum(panel.width + PANEL_GAP for panel in found)) / len(found)
    placed = []
    for panel in found:
        placed.append(replace(panel, width=panel.width + spare, left=left))
        left += placed[-1].width + PANEL_GAP
    return placed


def _panel(networks: tuple[ResidualNetwork, ...], first: int, box: float, left: float) -> Panel:
    tasks = [head.task for net in networks for head in net.heads]
    crossed = any(is_crossed(net, place(block)) for net in networks for block in net.towers)
    gap = CROSS_GAP + CROSSING * len(tasks) if crossed else GAP
    names = max(text_width(task, TITLE, bold=True) for task in tasks)
    pitch = max(box + gap, names + 10)
    panel = Panel(networks, first, box, pitch, pitch * len(tasks), left)
    return replace(panel, width=max(panel.width, *(text_width(t, TITLE) for t in panel.titles)))


def _by_title(networks: Sequence[ResidualNetwork]) -> list[list[ResidualNetwork]]:
    """Return the networks of each panel: adjacent single-task networks share one."""

    def key(numbered: tuple[int, ResidualNetwork]) -> str | int:
        number, net = numbered
        return net.variant.row.title if net.variant.row.branch is Branch.NEVER else number

    return [[net for _, net in group] for _, group in groupby(enumerate(networks), key)]


def _texts(net: ResidualNetwork) -> Iterator[str]:
    yield from (unit_text(net.conv1), *POOL1)
    for block in (*net.trunk, *net.towers):
        yield from block_lines(block)
    for norm in net.branching:
        yield from norm_lines(norm)
    for head in net.heads:
        yield from head_lines(head)
