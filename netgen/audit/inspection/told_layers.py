"""The layers that Caffe's log tells of one by one, and whether they are those of a net.

A log prints its nets too, but cuts them off at 30,000 characters: a third of the paper's network.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from netgen.audit.inspection.data_layers import PARAMETERS
from netgen.audit.inspection.same_nets import LEARNS, built
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.schema import Phase, SchemaError
from netgen.cost.complexity import count
from netgen.cost.layers.layer_types import Shape

CREATED = re.compile(r"Creating Layer (?P<layer>\S+)")
SET_UP = re.compile(r"Setting up (?P<layer>\S+)")
BOTTOM = re.compile(r"(?P<layer>\S+) <- (?P<blob>\S+)")
TOP = re.compile(r"(?P<layer>\S+) -> (?P<blob>\S+)")
SHAPE = re.compile(r"Top shape: (?P<shape>\d{1,10}(?: \d{1,10})*) \(")
SPLIT = re.compile(r"_split(_\d+)?$")


@dataclass
class ToldLayer:
    """A layer as a log tells of it: what it reads and makes, and in which shapes.

    Blobs have the names that the net's file gives them, where Caffe inserted Splits.
    """

    bottoms: list[str] = dataclasses.field(default_factory=list)
    tops: list[str] = dataclasses.field(default_factory=list)
    shapes: list[Shape] = dataclasses.field(default_factory=list)


def told_layers(messages: Iterable[tuple[Phase, str]]) -> dict[Phase, dict[str, ToldLayer]]:
    """Return the layers that messages of each phase tell of, without those that Caffe inserts."""
    found: dict[Phase, dict[str, ToldLayer]] = {}
    splits: dict[str, str] = {}  # what a Split makes, and the blob that it is a copy of
    being_set_up = ToldLayer()
    for phase, text in messages:
        layers = found.setdefault(phase, {})
        if match := CREATED.match(text):
            layers[match["layer"]] = ToldLayer()
        elif match := SET_UP.match(text):
            being_set_up = layers.get(match["layer"], ToldLayer())
        elif match := SHAPE.match(text):
            being_set_up.shapes.append(tuple(map(int, match["shape"].split())))
        elif (match := BOTTOM.match(text)) and match["layer"] in layers:
            blob = splits.get(match["blob"], match["blob"])
            layers[match["layer"]].bottoms.append(blob)
        elif (match := TOP.match(text)) and match["layer"] in layers:
            told = layers[match["layer"]]
            told.tops.append(match["blob"])
            if SPLIT.search(match["layer"]) and told.bottoms:
                splits[match["blob"]] = told.bottoms[0]
    own = {
        phase: {name: told for name, told in layers.items() if not SPLIT.search(name)}
        for phase, layers in found.items()
    }
    return {phase: layers for phase, layers in own.items() if layers}


def unlike(
    told: Mapping[str, ToldLayer], net: NetParameter, phase: Phase, fed: Shape | None
) -> list[str]:
    """Return the names of layers that a log tells otherwise than a net has them.

    Parameters
    ----------
    told
        The layers of a phase that the log tells of, by name.
    net, phase
        The net, and that phase.
    fed
        The shape N x C x H x W of its images, if it is known; then shapes are compared, too.
    """
    wanted = {layer.name: ([*layer.bottom], [*layer.top]) for layer in built(net, phase)}
    apart = sorted(set(told) ^ set(wanted))
    shared = [name for name in told if name in wanted]
    wired = [name for name in shared if (told[name].bottoms, told[name].tops) != wanted[name]]
    shapes = _shapes(net, phase, fed) if fed and not (apart or wired) else {}
    shaped = [
        name for name in shared if name in shapes and _per_image(told[name].shapes) != shapes[name]
    ]
    return [*apart, *wired, *shaped]


def _shapes(net: NetParameter, phase: Phase, fed: Shape) -> dict[str, list[Shape]]:
    """Return the shapes that the layers with weights make of one such image."""
    sources = (layer for layer in built(net, phase) if layer.type in PARAMETERS)
    images = next((layer.top[0] for layer in sources), None)
    try:
        inputs = {images: (fed[1], fed[2], fed[3])} if images else None
        layers = count(net, phase, inputs=inputs).layers
    except SchemaError:
        return {}
    made = {x.name: [top.shape for top in x.tops] for x in layers if x.type in LEARNS and x.known}
    known = {name: [x for x in shapes if x] for name, shapes in made.items() if all(shapes)}
    return {name: _per_image(shapes) for name, shapes in known.items()}


def _per_image(shapes: Iterable[Shape]) -> list[Shape]:
    """Leave out how many images a batch has: the data layers say that."""
    return [shape[1:] for shape in shapes]
