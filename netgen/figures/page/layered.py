"""Any network as a picture in layers, top to bottom; Graphviz's dot places the boxes.

A box is a layer with those that work in place on what it made: a convolution with its
normalisation and ReLU; or a module, the layers whose names share what stands before the last "/",
such as inception_3a of GoogLeNet. Graphviz gets numbers in place of names, so that nothing from a
file reaches it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netgen.cost.complexity import LayerCost
from netgen.figures.shapes import (
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
    box_height,
    text_width,
)
from netgen.system.text import escaped

if TYPE_CHECKING:
    from pygraphviz import AGraph

MARGIN, TITLE = 12.0, 15.0
LONGEST = 34  # letters of a name in a box
MOST_BOXES = 2_000  # that dot places within a few seconds
INCH = 72.0  # Graphviz's unit of a box, in its own points
GAPS = {"nodesep": "0.25", "ranksep": "0.35"}  # inches


class DrawingError(ValueError):
    """A network that cannot be drawn; the message says what to do."""


@dataclass(frozen=True)
class LayerBox:
    """Layers by their numbers, the boxes that they read, and the module's name if they are one."""

    layers: tuple[int, ...]
    reads: tuple[int, ...]
    module: str = ""


def boxes_of(layers: Sequence[LayerCost]) -> list[LayerBox]:
    """Return the boxes of a network's layers, each after those that it reads."""
    makers: dict[str, int] = {}  # blob -> the box that made its newest version
    members: list[list[int]] = []
    reads: list[dict[int, None]] = []
    for index, layer in enumerate(layers):
        names = [bottom.name for bottom in layer.bottoms]
        in_place = names[:1] and layer.tops and layer.tops[0].name == names[0]
        sources = dict.fromkeys(makers[name] for name in names if name in makers)
        if in_place and names[0] in makers:
            box = makers[names[0]]
            members[box].append(index)
            reads[box] |= {source: None for source in sources if source != box}
        else:
            box = len(members)
            members.append([index])
            reads.append(sources)
        makers.update((top.name, box) for top in layer.tops)
    return [LayerBox(tuple(m), tuple(r)) for m, r in zip(members, reads, strict=True)]


def modules_of(layers: Sequence[LayerCost], boxes: Sequence[LayerBox]) -> list[LayerBox]:
    """Return boxes with those of one module as one, each at the place of its first."""
    members: dict[str | int, list[int]] = {}  # a module, or the number of a box in none
    for index, box in enumerate(boxes):
        prefix = layers[box.layers[0]].name.rpartition("/")[0]
        members.setdefault(prefix or index, []).append(index)
    place = {box: index for index, found in enumerate(members.values()) for box in found}
    merged = []
    for index, (module, found) in enumerate(members.items()):
        inside = sorted(layer for box in found for layer in boxes[box].layers)
        reads = dict.fromkeys(place[read] for box in found for read in boxes[box].reads)
        reads.pop(index, None)  # what the module makes for itself
        merged.append(LayerBox(tuple(inside), tuple(reads), str(module) if len(found) > 1 else ""))
    return merged


def layered_picture(
    title: str,
    layers: Sequence[LayerCost],
    names: Sequence[str],
    number: int = 0,
    *,
    modules: bool = False,
) -> Picture:
    """Return a network's picture.

    Parameters
    ----------
    title
        Above it.
    layers, names
        What each layer costs, and the name by which the picture's parts tell of it.
    number
        The network's, in the parts.
    modules
        Draw the layers of a module as one box.

    Raises
    ------
    DrawingError
        pygraphviz is missing, or the network is too large to be placed.
    """
    boxes = boxes_of(layers)
    if modules:
        boxes = modules_of(layers, boxes)
    if len(boxes) > MOST_BOXES:
        fewer = len(modules_of(layers, boxes))
        merged = not modules and fewer <= MOST_BOXES
        raise DrawingError(
            f"{len(boxes):,} boxes are more than can be drawn ({MOST_BOXES:,}): "
            + (f"give --modules, with which it has {fewer:,}, or " if merged else "")
            + "count it instead (`netgen count FILE --layers`)"
        )
    texts = [_lines([layers[index] for index in box.layers], box.module) for box in boxes]
    widths = [max(map(text_width, lines)) + 14 for lines in texts]
    graph = _placed(boxes, texts, widths)
    _, _, right, top = map(float, graph.graph_attr["bb"].split(","))
    down = MARGIN + TITLE + 14
    label = Label(MARGIN, MARGIN + TITLE / 2, title, TITLE, bold=True, anchor=0)

    def moved(x: float, y: float) -> Point:
        return (round(x + MARGIN, 1), round(top - y + down, 1))

    drawn: list[Element] = [label]
    for index, (box, lines, width) in enumerate(zip(boxes, texts, widths, strict=True)):
        x, y = moved(*map(float, graph.get_node(str(index)).attr["pos"].split(",")))
        part = Part(number, tuple(names[layer] for layer in box.layers))
        drawn.append(Box(x, y, round(width, 1), lines, of=part))
        for source in box.reads:
            way = graph.get_edge(str(source), str(index)).attr["pos"]
            points = tuple(moved(*point) for point in _corners(way))
            drawn.append(Wire(WireKind.FLOW, points, arrow=True))
    width = max(right + 2 * MARGIN, label.edges[2] + MARGIN)
    return Picture(round(width, 1), round(top + down + MARGIN, 1), (), tuple(drawn))


def side_by_side(pictures: Sequence[Picture]) -> Picture:
    """Return pictures as one, from left to right, without their bands, which cross a whole one."""
    elements: list[Element] = []
    left = 0.0
    for picture in pictures:
        kept = (element for element in picture.elements if not isinstance(element, Band))
        elements += (_shifted(element, left) for element in kept)
        left += picture.width + 2 * MARGIN
    tasks = tuple(dict.fromkeys(task for picture in pictures for task in picture.tasks))
    height = max(picture.height for picture in pictures)
    return Picture(round(left - 2 * MARGIN, 1), height, tasks, tuple(elements))


def _shifted(element: Box | Label | Sum | Wire, by: float) -> Element:
    if isinstance(element, Wire):
        return replace(element, points=tuple((x + by, y) for x, y in element.points))
    return replace(element, x=element.x + by)


def _lines(layers: Sequence[LayerCost], module: str) -> tuple[str, ...]:
    """Return the text in a box: a name, the types of its layers, and the shape that they make."""
    first, last = layers[0], layers[-1]
    shapes = [
        "unknown" if top.shape is None else "×".join(map(str, top.shape)) for top in last.tops
    ]
    made = " ".join(shapes[:2])
    if module:
        return (_short(module), f"{len(layers)} layers", made)
    types = " + ".join(_short(layer.type) for layer in layers[:4])
    return (_short(first.name), types + (" …" if len(layers) > 4 else ""), made)


def _short(name: str) -> str:
    shown = escaped(name)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _placed(
    boxes: Sequence[LayerBox], texts: Sequence[Sequence[str]], widths: Sequence[float]
) -> AGraph:
    """Return the boxes as a graph with their places, and the ways between them, by dot."""
    try:
        from pygraphviz import AGraph
    except ImportError:
        raise DrawingError(
            "a network that is not one of netgen's residual ones is placed by Graphviz, which is"
            " not installed: pip install 'netgen[page]'"
        ) from None
    graph = AGraph(directed=True, strict=True, splines="polyline", **GAPS)
    for index, (lines, width) in enumerate(zip(texts, widths, strict=True)):
        size = {"width": width / INCH, "height": box_height(len(lines)) / INCH}
        graph.add_node(str(index), shape="box", fixedsize="true", label="", **size)
    for index, box in enumerate(boxes):
        graph.add_edges_from((str(source), str(index)) for source in box.reads)
    graph.layout(prog="dot")
    return graph


def _corners(way: str) -> Iterator[Point]:
    """Yield the corners of an edge as dot writes it: "e,x,y" is its end, cubic curves the rest."""
    end: Point | None = None
    points: list[Point] = []
    for word in way.replace("\\\n", "").split():
        *mark, x, y = word.split(",")
        point = (float(x), float(y))
        if mark:
            end = point
        else:
            points.append(point)
    yield from points[::3]  # each third one; those between bend a curve, which these are not
    if end:
        yield end
