"""From each head back to the source of its labels, by position: through Concat, Slice and Reshape.

Labels are followed as columns: one number per image and task. A Slice top is some columns of what
was cut; a column of a Concat is one of its bottoms, each of which is taken to be one label wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import NamedTuple

from netgen.audit.comparison.algebra import is_identity
from netgen.audit.comparison.differences import GraphComparison
from netgen.audit.comparison.nodes import CARRIES, Node, axis_along
from netgen.audit.comparison.references import Reference
from netgen.audit.comparison.traits import traits_of
from netgen.audit.inspection.source_layers import source_of
from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.caffe.schema import Phase
from netgen.cost.complexity import READS_LABELS


class Step(Enum):
    """What a layer does to labels on their way, where it does more than carry them."""

    SAME = "changes nothing"
    CHANGED = "changes class numbers"
    SHUFFLED = "works along the batch"
    LOST = "is not followed"


@dataclass(frozen=True)
class LabelUse:
    """A head's labels.

    Attributes
    ----------
    task
        The head's task.
    reader
        The loss or accuracy that compares with them.
    steps
        The layers between it and the source that do more than carry labels, nearest first.
    sources
        The data layer and the top of it that they come from; where they are lost on the way, all
        that they could come from.
    column
        Which of that top's labels they are.
    """

    task: str
    reader: LayerParameter
    steps: tuple[tuple[LayerParameter, Step], ...]
    sources: tuple[tuple[LayerParameter, str], ...]
    column: int = 0

    @property
    def source(self) -> LayerParameter:
        """The data layer."""
        return self.sources[0][0]

    @property
    def lost(self) -> bool:
        """Whether a layer on the way is not followed."""
        return any(step is Step.LOST for _, step in self.steps)

    @property
    def origin(self) -> tuple[object, ...]:
        """What two uses share if and only if they get the same labels."""
        source, blob = self.sources[0]
        return (source_of(source) or source.name, list(source.top).index(blob), self.column)


class Place(NamedTuple):
    """A column of a blob that has `width` labels per image."""

    blob: str
    column: int = 0
    width: int = 1


def label_uses(reference: Reference, compared: GraphComparison) -> list[LabelUse]:
    """List the labels that each loss and accuracy reads, in the order of the network."""
    graph, uses = compared.found, []
    for index, layers in graph.labels.items():
        pair = compared.pairs.get(index)
        reader = reader_of(graph.nodes[index])
        if pair is not None and layers and reader:
            task = _task(reference, compared.wanted.nodes[pair].name)
            uses.append(_use(task, reader, layers, graph.phase))
    return uses


def reader_of(node: Node) -> LayerParameter | None:
    """Return the layer that reads labels, of those that a node stands for."""
    return next((x for x in node.layers if x.type in READS_LABELS and len(x.bottom) > 1), None)


def _task(reference: Reference, name: str) -> str:
    tasks = reference.variant.tasks
    return tasks[0] if len(tasks) == 1 else name.rpartition("_")[2]


def _use(
    task: str, reader: LayerParameter, layers: Sequence[LayerParameter], phase: Phase
) -> LabelUse:
    """Follow labels back through the layers that lead to them, the latest first."""
    at, steps = Place(reader.bottom[1]), list[tuple[LayerParameter, Step]]()
    for number, layer in enumerate(layers):
        if at.blob not in layer.top:
            continue
        if not layer.bottom:
            return LabelUse(task, reader, tuple(steps), ((layer, at.blob),), at.column)
        before, step = _back(layer, at, layers[number + 1 :], phase)
        if step and (step is not Step.SHUFFLED or all(x is not step for _, x in steps)):
            steps.append((layer, step))
        if before is None:
            break
        at = before
    read = {blob for layer in (*layers, reader) for blob in layer.bottom}
    sources = [(x, top) for x in layers if not x.bottom for top in x.top if top in read]
    return LabelUse(task, reader, tuple(steps), tuple(sources))


def _back(
    layer: LayerParameter, at: Place, earlier: Sequence[LayerParameter], phase: Phase
) -> tuple[Place | None, Step | None]:
    """Return where a layer has a column from, None where that is not known; and what it does."""
    first = at._replace(blob=layer.bottom[0])
    if layer.type not in CARRIES:
        return first, _change(layer, phase)
    if layer.type in ("Concat", "Slice") and len(layer.bottom) + len(layer.top) > 2:
        uncut = _uncut(layer, earlier)
        if uncut or axis_along(layer) == 0:
            return (first._replace(blob=uncut), None) if uncut else (first, Step.SHUFFLED)
        before = _cut(layer, at) if layer.type == "Slice" else _joined(layer, at)
    else:
        before = first if at.width == 1 or _keeps_rows(layer, at.width) else None
    return before, None if before else Step.LOST


def _change(layer: LayerParameter, phase: Phase) -> Step:
    same = is_identity(layer.type, traits_of(layer, phase, None))
    return Step.SAME if same else Step.CHANGED


def _uncut(layer: LayerParameter, earlier: Sequence[LayerParameter]) -> str:
    """Return what a Concat joins again after a Slice cut it along the same axis, else ""."""
    if layer.type != "Concat":
        return ""
    makers = [next((x for x in earlier if blob in x.top), layer) for blob in layer.bottom]
    cut = makers[0]
    same = cut.type == "Slice" and list(cut.top) == list(layer.bottom)
    same = same and all(maker is cut for maker in makers)
    return cut.bottom[0] if same and axis_along(cut) == axis_along(layer) else ""


def _cut(layer: LayerParameter, at: Place) -> Place | None:
    """Return where the column of a Slice's top is in its bottom."""
    index, tops = list(layer.top).index(at.blob), len(layer.top)
    points = layer.slice_param.slice_point or [at.width * number for number in range(1, tops)]
    edges = [0, *points]
    if axis_along(layer) != 1 or len(edges) != tops:
        return None
    last = index == tops - 1
    if not last and edges[index + 1] - edges[index] != at.width:
        return None
    uniform = at.width if last or not layer.slice_param.slice_point else 1
    return Place(layer.bottom[0], edges[index] + at.column, edges[-1] + uniform)


def _joined(layer: LayerParameter, at: Place) -> Place | None:
    """Return the bottom that a column of a Concat is, if each of them is one label wide."""
    alike = axis_along(layer) == 1 and at.width == len(layer.bottom)
    return Place(layer.bottom[at.column]) if alike else None


def _keeps_rows(layer: LayerParameter, width: int) -> bool:
    """Return whether a Flatten or Reshape to `width` labels per image leaves them their image."""
    if layer.type == "Flatten":
        return layer.flatten_param.axis > 0 or layer.flatten_param.end_axis == 0
    if layer.type != "Reshape" or layer.reshape_param.axis > 0:
        return True
    dims = list(layer.reshape_param.shape.dim)
    return dims[:1] == [0] or (min(dims[1:], default=0) > 0 and prod(dims[1:]) == width)
