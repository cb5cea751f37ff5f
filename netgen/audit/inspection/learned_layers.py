"""The layers of a net that have weights, at the size of the images that other files tell.

A net whose databases are elsewhere does not say how large its images are; those given beside it do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from netgen.audit.inspection.database_folder import find_databases
from netgen.audit.inspection.inspect_log import InspectedLog
from netgen.audit.inspection.same_nets import batch_in, built
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.caffemodel_check import Shapes
from netgen.caffe.databases import first_shape
from netgen.caffe.schema import Phase, SchemaError
from netgen.cost.complexity import NetCost, count
from netgen.cost.layers.layer_types import Shape
from netgen.cost.layers.sources import ASSUMED
from netgen.cost.shaping import images_of

PHASES: tuple[Phase, ...] = ("TRAIN", "TEST")
ANOTHER_SIZE = (1, 448, 448)  # than the one assumed, and no smaller, so that every pool fits in


@dataclass(frozen=True)
class Learned:
    """The shapes of the layers' blobs; those of `assumed` follow from a size that was assumed."""

    shapes: Shapes
    assumed: frozenset[str] = frozenset()


def learned_layers(net: NetParameter, data: str, log: InspectedLog | None) -> Learned:
    """Return the layers of a net that have weights; none where they cannot all be counted.

    `data` and `log` are the databases and the log that were given beside it; "" and None without.

    Raises
    ------
    ValueError
        The databases cannot be read.
    """
    fed = [phase for phase in PHASES if batch_in(built(net, phase)) is not None]
    phase = fed[0] if fed else "TEST"
    cost = _count(net, phase)
    assumes = cost is not None and any(ASSUMED in notice for notice in cost.notices)
    size = next(_told(phase, data, log), None) if assumes else None
    if size:
        cost = _count(net, phase, size)
    shapes = _shapes(cost)
    if not assumes or size:
        return Learned(shapes)
    other = _shapes(_count(net, phase, ANOTHER_SIZE))
    return Learned(shapes, frozenset(name for name in shapes if shapes[name] != other.get(name)))


def _shapes(cost: NetCost | None) -> Shapes:
    if cost is None or not all(layer.known for layer in cost.layers):
        return {}
    return {layer.name: layer.blobs for layer in cost.layers if layer.blobs}


def _count(net: NetParameter, phase: Phase, size: Shape | None = None) -> NetCost | None:
    inputs: Mapping[str, Shape] = {}
    if size:
        layers = built(net, phase)
        images = images_of(layers)
        inputs = {
            layer.top[0]: size
            for layer in layers
            if not layer.bottom and layer.top and layer.top[0] in images
        }
    try:
        return count(net, phase, inputs=inputs)
    except SchemaError:
        return None


def _told(phase: Phase, data: str, log: InspectedLog | None) -> Iterator[Shape]:
    """Yield the sizes of an image, C x H x W, that the other files tell."""
    splits = find_databases(Path(data)) if data else {}
    if phase in splits and (images := splits[phase].images) and (size := first_shape(images)):
        yield size
    if log and (shape := log.fed.get(phase)) is not None:
        yield shape[1:]
