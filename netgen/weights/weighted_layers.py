"""What a network wants: its layers with weights, those of both phases, read from its prototxt."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.schema import Phase, SchemaError, layers_in, read_net
from netgen.cost.complexity import LayerCost, count
from netgen.cost.layers.sources import OPEN_ENDED, Image
from netgen.cost.layers.table import Shape

LABEL, PROBABILITIES = "label_", "prob_"  # a task's blobs, in train_val and in deploy


@dataclass(frozen=True, eq=False)
class Wanted:
    """A layer that needs weights.

    Attributes
    ----------
    layer
        As in the prototxt.
    blobs
        Shapes of its parameter blobs.
    bottoms
        Shapes of what it reads.
    task
        The task that it belongs to by its name's suffix; None where all share it.
    is_head
        Whether it is a classifier: a loss or a softmax reads what it makes.
    """

    layer: LayerParameter
    blobs: tuple[Shape, ...]
    bottoms: tuple[Shape, ...]
    task: str | None
    is_head: bool

    @property
    def name(self) -> str:
        """The layer's name, by which Caffe copies."""
        return self.layer.name

    @property
    def type(self) -> str:
        """The layer's type."""
        return self.layer.type

    @property
    def base(self) -> str:
        """The name without its task: what the corresponding layer of one task is called."""
        return self.name.removesuffix(f"_{self.task}") if self.task else self.name


@dataclass(frozen=True)
class Network:
    """A network's file and name, its tasks, its layers with weights, and what was assumed."""

    file: str
    name: str
    tasks: tuple[str, ...]
    layers: tuple[Wanted, ...]
    notices: tuple[str, ...]


def read_network(path: str | os.PathLike[str]) -> Network:
    """Read the layers with weights of a network, of TRAIN and of TEST.

    The size of its images is its own word, else that of the deploy.prototxt beside it, else that of
    its database.

    Raises
    ------
    SchemaError
        When it is no network, or has a layer whose weights cannot be told.
    """
    file, net = os.fspath(path), read_net(path)
    tasks, images = _tasks(net), _images(net, Path(path))
    wanted: dict[str, Wanted] = {}
    notices: dict[str, None] = {}
    for phase in ("TRAIN", "TEST"):
        try:
            found, said = _wanted(net, phase, tasks, images)
        except SchemaError as error:
            raise SchemaError(f"{file}: {error}") from None
        wanted |= {layer.name: layer for layer in found if layer.name not in wanted}
        notices |= dict.fromkeys(said)
    if not wanted:
        raise SchemaError(f"{file}: no layer of it has weights: is it the whole network?")
    return Network(file, net.name, tasks, tuple(wanted.values()), tuple(notices))


def _tasks(net: NetParameter) -> tuple[str, ...]:
    """Return the tasks that have a label or probabilities, in order."""
    blobs = [blob for layer in net.layer for blob in (*layer.bottom, *layer.top)]
    named = (
        blob.removeprefix(prefix)
        for prefix in (LABEL, PROBABILITIES)
        for blob in blobs
        if blob.startswith(prefix)
    )
    return tuple(dict.fromkeys(named))


def _images(net: NetParameter, path: Path) -> Mapping[str, Image]:
    """Return the shapes that the deploy network beside this one gives to what both read."""
    deploy = path.with_name("deploy.prototxt")
    if not deploy.exists() or deploy == path:
        return {}
    read = {top for layer in net.layer if layer.type in OPEN_ENDED for top in layer.top}
    inputs = (layer for layer in read_net(deploy).layer if layer.type == "Input")
    shapes = {
        top: tuple(shape.dim)
        for layer in inputs
        for top, shape in zip(layer.top, layer.input_param.shape, strict=False)
    }
    return {
        top: (shape[1], shape[2], shape[3])
        for top, shape in shapes.items()
        if top in read and len(shape) == 4
    }


def _wanted(
    net: NetParameter, phase: Phase, tasks: tuple[str, ...], images: Mapping[str, Image]
) -> tuple[list[Wanted], tuple[str, ...]]:
    layers = layers_in(net, phase)
    cost = count(net, phase, inputs=images)
    unknown = [layer for layer in cost.layers if not layer.known]
    if unknown:
        raise SchemaError(
            f"layer {unknown[0].name!r} ({unknown[0].type}): its weights cannot be told:"
            " its type, or what it reads, is unknown"
        )
    heads = _heads(layers)
    triples = zip(layers, cost.layers, _bottoms(layers, cost.layers), strict=True)
    found = [
        Wanted(layer, made.blobs, bottoms, _task(layer.name, tasks), layer.name in heads)
        for layer, made, bottoms in triples
        if made.blobs
    ]
    return found, cost.notices


def _bottoms(
    layers: list[LayerParameter], costs: tuple[LayerCost, ...]
) -> Iterator[tuple[Shape, ...]]:
    shapes: dict[str, Shape] = {}
    for layer, cost in zip(layers, costs, strict=True):
        yield tuple(shapes[bottom] for bottom in layer.bottom)
        shapes |= {top.name: top.shape or () for top in cost.tops}


def _heads(layers: list[LayerParameter]) -> set[str]:
    """Name the layers whose top a loss or a softmax reads first: the classifiers."""
    makers = {top: layer.name for layer in layers for top in layer.top}
    ends = (layer for layer in layers if layer.type == "Softmax" or layer.type.endswith("Loss"))
    return {makers[layer.bottom[0]] for layer in ends if layer.bottom}


def _task(name: str, tasks: tuple[str, ...]) -> str | None:
    return next((task for task in tasks if name.endswith(f"_{task}")), None)
