"""The paper's Figure 4: the positions of boxes, wires and labels; `drawing` draws them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby

from netgen.figures.grid import (
    CROSSING,
    LANE,
    PANEL_GAP,
    POOL1,
    TAP,
    TITLE,
    TITLES,
    GridRow,
    Panel,
    block_lines,
    fork,
    groups,
    head_lines,
    is_projected,
    norm_lines,
    panels,
    path,
    place,
    rows,
    unit_text,
)
from netgen.figures.layers_of import block_layers, head_layers, norm_layers, unit_layers
from netgen.figures.shapes import (
    RADIUS,
    TEXT,
    Band,
    Box,
    Element,
    Label,
    Part,
    Picture,
    Point,
    Sum,
    Wire,
    WireKind,
    text_width,
)
from netgen.network.blocks import Block
from netgen.network.residual import ClassifierHead, ResidualNetwork

MARGIN, LEGEND = 10.0, 42.0  # the latter's height
DETOUR = 10.0  # distance of a shortcut from its box
MERGE = 4.0  # how far from the middle of a sum a shortcut and what crosses arrive, above and below
SHARED, SUM, ALIKE = "shared by the tasks", "sum", "n equal blocks"  # beside lines, the legend


def network_picture(networks: Sequence[ResidualNetwork]) -> Picture:
    """Return the picture of `networks`, one panel each; single-task networks share one.

    Raises
    ------
    ValueError
        There is no network, or they are not all of one backbone for images of one size, with
        equal blocks.
    """
    if len({_outline(net) for net in networks}) != 1:
        raise ValueError(
            "a picture needs networks of one backbone for images of one size, with the same blocks"
            " alike: draw the others in a picture of their own"
        )
    places = rows(networks)
    bands = list(_bands(places))
    left = _right(bands) + PANEL_GAP
    legend = _right(_legend(_panels(panels(networks, left), places)))
    found = panels(networks, left, legend + 2 * MARGIN - left)
    width, bottom = found[-1].left + found[-1].width + MARGIN, places["head"].bottom
    drawn = _panels(found, places)
    start = (width - legend) / 2
    elements = (*bands, *drawn, *_legend(drawn, start, bottom + LEGEND / 2))
    tasks = tuple(dict.fromkeys(head.task for net in networks for head in net.heads))
    return Picture(width, bottom + LEGEND, tasks, elements)


def _outline(net: ResidualNetwork) -> object:
    """Return what networks in one picture must agree on."""
    blocks = path(net, net.heads[0].task)
    boxes = tuple(place(group[0]) for group in groups(net, net.heads[0].task))
    return (
        net.images,
        unit_text(net.conv1),
        tuple((block_lines(b), b.shape) for b in blocks),
        boxes,
    )


def _bands(places: dict[str, GridRow]) -> Iterator[Band | Label]:
    """Yield the output sizes on the left, every other one in a shade."""
    sizes = [(size, list(of)) for size, of in groupby(places.values(), key=lambda row: row.size)]
    texts = [f"{height} × {width}" for (height, width), _ in sizes]
    right = MARGIN + max(map(text_width, texts))
    for index, (text, (_, of)) in enumerate(zip(texts, sizes, strict=True)):
        top, bottom = of[0].top, of[-1].bottom
        if index % 2 == 0:
            yield Band(top, bottom)
        yield Label(right, (top + bottom) / 2, text, anchor=1)


def _right(elements: Sequence[Element]) -> float:
    return max(element.edges[2] for element in elements if isinstance(element, Label))


def _panels(found: Sequence[Panel], places: dict[str, GridRow]) -> list[Element]:
    """Return the panels' elements; shared blocks are on the path of each task, but drawn once."""
    return list(dict.fromkeys(element for panel in found for element in _panel(panel, places)))


def _panel(panel: Panel, places: dict[str, GridRow]) -> Iterator[Element]:
    middle = panel.left + panel.width / 2
    title, subtitle = panel.titles
    yield Label(middle, TITLES - 36, title, TITLE, bold=True)
    yield Label(middle, TITLES - 17, subtitle)
    columns = iter(panel.columns)
    for number, net in enumerate(panel.networks, panel.first):
        xs = {head.task: next(columns) for head in net.heads}
        yield from _network(net, number, xs, panel, places)


def _network(
    net: ResidualNetwork,
    number: int,
    xs: dict[str, float],
    panel: Panel,
    places: dict[str, GridRow],
) -> Iterator[Element]:
    """Yield a network with its tasks' columns at `xs`; shared blocks are in the middle."""
    centre = sum(xs.values()) / len(xs)
    owner = net.heads[0].task if len(xs) == 1 else None
    part = partial(Part, number)
    image, stem = part((net.conv1.bottom,)), part(unit_layers(net.conv1))
    yield Label(centre, places["image"].middle, "image", of=image)
    yield from _layer(centre, panel.box, places["conv1"], (unit_text(net.conv1),), owner, stem)
    if net.pool1:
        yield from _layer(centre, panel.box, places["pool1"], POOL1, owner, part((net.pool1,)))
    for task, x in xs.items():
        for group in groups(net, task):
            row, own = places[place(group[0])], group[0].task
            layers = part(tuple(layer for block in group for layer in block_layers(block)))
            yield from _block(group, x if own else centre, panel.box, row, own or owner, layers)
            yield from _cross_wires(net, number, group[0], xs, panel, row)
    yield from _parting(net, number, xs, centre, panel.box, places)
    for head in net.heads:
        layers = part(head_layers(head))
        yield from _head(head, xs[head.task], panel.box, places["head"], layers)


def _layer(
    x: float, width: float, row: GridRow, lines: tuple[str, ...], task: str | None, of: Part
) -> Iterator[Element]:
    yield Wire(WireKind.FLOW, ((x, row.top), (x, row.box_top)), arrow=True)
    yield Box(x, row.middle, width, lines, task, of)
    yield Wire(WireKind.FLOW, ((x, row.box_bottom), (x, row.bottom)))


def _block(
    group: list[Block], x: float, width: float, row: GridRow, task: str | None, of: Part
) -> Iterator[Element]:
    block = group[0]
    yield Wire(WireKind.FLOW, ((x, row.top), (x, row.box_top)), arrow=True)
    yield Box(x, row.middle, width, block_lines(block), task, of)
    yield Wire(WireKind.FLOW, ((x, row.box_bottom), (x, row.sum - RADIUS)), arrow=True)
    yield Sum(x, row.sum)
    yield Wire(WireKind.FLOW, ((x, row.sum + RADIUS), (x, row.bottom)))
    tap, side = row.box_top - TAP, x + width / 2 + DETOUR
    above = MERGE if len(block.addends) > 2 else 0
    into = row.sum - above
    yield Wire(
        _shortcut(block),
        ((x, tap), (side, tap), (side, into), (x + _reach(above), into)),
        arrow=True,
        count=len(group),
        source=task,
        target=task,
    )
    if len(group) > 1:
        yield Label(x - RADIUS - 8, row.sum, f"×{len(group)}", TEXT + 2, bold=True, anchor=1)


def _shortcut(block: Block) -> WireKind:
    """Return the kind of a block's own shortcut."""
    if block.self_weight:
        return WireKind.WEIGHTED
    if block.projection is None:
        return WireKind.IDENTITY
    return WireKind.PROJECTION_RELU if block.projection.relu else WireKind.PROJECTION


def _reach(offset: float) -> float:
    """Return half the width of a sum's circle, `offset` above or below its middle."""
    return math.sqrt(RADIUS**2 - offset**2)


def _cross_wires(
    net: ResidualNetwork,
    number: int,
    block: Block,
    xs: dict[str, float],
    panel: Panel,
    row: GridRow,
) -> Iterator[Wire]:
    """Yield what other tasks add to a block's sum: each runs down the gap beside that block."""
    weighted = {cross.name for other in net.towers for cross in other.cross}
    # Equation (2) adds the other tasks in their order, after the shortcut and the residual.
    sources = [task for task in xs if task != block.task]
    for source, addend in zip(sources, block.addends[2:], strict=False):
        yield Wire(
            _crossed(block, addend in weighted),
            _crossing(list(xs).index(source), list(xs).index(block.task or ""), xs, panel, row),
            arrow=True,
            source=source,
            target=block.task,
            of=Part(number, (addend,) if addend in weighted else ()),
        )


def _crossed(block: Block, is_weighted: bool) -> WireKind:
    """Return what another task adds to a block's sum."""
    if is_projected(block):
        return WireKind.CROSS_PROJECTION
    return WireKind.CROSS if is_weighted else WireKind.CROSS_IDENTITY


def _crossing(
    source: int, target: int, xs: dict[str, float], panel: Panel, row: GridRow
) -> tuple[Point, ...]:
    """Return the way from one column to the sum in another, clear of boxes and shortcuts."""
    columns = list(xs.values())
    side = 1 if source > target else -1
    passed = abs(source - target) - 1
    most = len(columns) - 2 - target if side > 0 else target - 1
    # Shortcuts run to the right of their boxes: the target's, or that of the column before it.
    clear = (DETOUR + 5, 4) if side > 0 else (4, DETOUR + 5)
    near = panel.box / 2 + clear[0] + CROSSING * passed
    far = panel.pitch - panel.box / 2 - clear[1] - CROSSING * (most - passed)
    lane, x, into = row.top + 4 + LANE * source, columns[target], row.sum + MERGE
    return (
        (columns[source], lane),
        (x + side * far, lane),
        (x + side * near, into),
        (x + side * _reach(MERGE), into),
    )


def _parting(
    net: ResidualNetwork,
    number: int,
    xs: dict[str, float],
    centre: float,
    box: float,
    places: dict[str, GridRow],
) -> Iterator[Element]:
    """Yield the parts of the rows where tasks branch, in this network or in another."""
    own = places[key].top if (key := fork(net)) else math.inf
    for row in (row for row in places.values() if row.key.startswith("fork")):
        for task, x in xs.items():
            start, end = (centre if row.top <= own else x), (x if row.top >= own else centre)
            turn = row.top + row.above / 2 - 2
            way = ((start, row.top), (start, turn), (end, turn), (end, row.box_top))
            norms = {} if row.top != own else dict(zip(xs, net.branching, strict=False))
            yield Wire(WireKind.FLOW, way, arrow=task in norms)
            if task in norms:
                of = Part(number, norm_layers(norms[task]))
                yield Box(x, row.middle, box, norm_lines(norms[task]), task, of)
            else:
                yield Wire(WireKind.FLOW, ((end, row.box_top), (end, row.box_bottom)))
            yield Wire(WireKind.FLOW, ((end, row.box_bottom), (end, row.bottom)))


def _head(
    head: ClassifierHead, x: float, width: float, row: GridRow, of: Part
) -> Iterator[Element]:
    yield Wire(WireKind.FLOW, ((x, row.top), (x, row.box_top)), arrow=True)
    yield Box(x, row.middle, width, head_lines(head), head.task, of)
    yield Label(x, row.box_bottom + 16, head.task, TITLE, bold=True, task=head.task)


def _legend(drawn: Sequence[Element], x: float = 0.0, y: float = 0.0) -> list[Element]:
    """Return a sample and the name of every drawn element that needs an explanation."""
    legend: list[Element] = []
    for name in _names(drawn):
        legend += [_sample(name, x, y), Label(x + 34, y, name, anchor=0)]
        x = _right(legend) + 24
    return legend


def _names(drawn: Sequence[Element]) -> Iterator[str]:
    if any(isinstance(element, Box) and element.task is None for element in drawn):
        yield SHARED
    wires = [element for element in drawn if isinstance(element, Wire)]
    lines = {wire.line for wire in wires} - {WireKind.FLOW}
    yield from (line.value for line in WireKind if line in lines)
    yield SUM
    if any(wire.count > 1 for wire in wires):
        yield ALIKE


def _sample(name: str, x: float, y: float) -> Element:
    others: dict[str, Element] = {
        SHARED: Box(x + 14, y, 24, ("",)),
        SUM: Sum(x + 14, y),
        ALIKE: Label(x + 28, y, "×n", TEXT + 2, bold=True, anchor=1),
    }
    return others.get(name) or Wire(WireKind(name), ((x, y), (x + 28, y)), count=0)
