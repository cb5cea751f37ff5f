"""The layers with weights of a network, those of both phases, read from its prototxt."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.schema import Phase, SchemaError, layers_in, read_net
from netgen.cost.complexity import LayerCost, count
from netgen.cost.layers.layer_types import Shape
from netgen.cost.layers.sources import OPEN_ENDED, Image

LABEL, PROBABILITIES = "label_", "prob_"  # a task's blobs, in train_val and in deploy


class WeightsError(ValueError):
    """Weights that a network cannot start from; the message says why and what next."""


@dataclass(frozen=True, eq=False)
class WeightedLayer:
    """A layer with weights.

    Attributes
    ----------
    layer_param
        As in the prototxt.
    blobs
        Shapes of its parameter blobs.
    bottoms
        Shapes of its inputs.
    task
        The task in its name's suffix; None where all tasks share it.
    is_head
        Whether it is a classifier: a loss or a softmax reads its top.
    rectified
        Whether a ReLU changes its top.
    """

    layer_param: LayerParameter
    blobs: tuple[Shape, ...]
    bottoms: tuple[Shape, ...]
    task: str | None
    is_head: bool
    rectified: bool

    @property
    def name(self) -> str:
        """The layer's name, by which Caffe copies."""
        return self.layer_param.name

    @property
    def type(self) -> str:
        """The layer's type."""
        return self.layer_param.type

    @property
    def base(self) -> str:
        """The name without its task: that of the corresponding layer of a single-task network."""
        return self.name.removesuffix(f"_{self.task}") if self.task else self.name


@dataclass(frozen=True)
class WeightedNetwork:
    """A network's file and name, its tasks, its layers with weights, and what was assumed."""

    file: str
    name: str
    tasks: tuple[str, ...]
    layers: tuple[WeightedLayer, ...]
    notices: tuple[str, ...]


def read_weighted_network(path: str | os.PathLike[str]) -> WeightedNetwork:
    """Read the layers with weights of a network, of TRAIN and of TEST.

    The size of its images comes from the prototxt itself, else from the deploy.prototxt beside it,
    else from its database.

    Raises
    ------
    SchemaError
        When it is no network, or has a layer whose weights are unknown.
    """
    file, net = os.fspath(path), read_net(path)
    tasks, images = _tasks(net), _images(net, Path(path))
    layers: dict[str, WeightedLayer] = {}
    notices: dict[str, None] = {}
    for phase in ("TRAIN", "TEST"):
        try:
            found, assumed = _weighted(net, phase, tasks, images)
        except SchemaError as error:
            raise SchemaError(f"{file}: {error}") from None
        layers |= {layer.name: layer for layer in found if layer.name not in layers}
        notices |= dict.fromkeys(assumed)
    if not layers:
        raise SchemaError(f"{file}: no layer of it has weights: is it the whole network?")
    return WeightedNetwork(file, net.name, tasks, tuple(layers.values()), tuple(notices))


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
    """Return the shapes of inputs that the deploy network beside this one states."""
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


def _weighted(
    net: NetParameter, phase: Phase, tasks: tuple[str, ...], images: Mapping[str, Image]
) -> tuple[list[WeightedLayer], tuple[str, ...]]:
    layers = layers_in(net, phase)
    cost = count(net, phase, inputs=images)
    unknown = [layer for layer in cost.layers if not layer.known]
    if unknown:
        raise SchemaError(
            f"layer {unknown[0].name!r} ({unknown[0].type}): its weights are not"
            " known, because its type or its input is not"
        )
    heads, relus = _heads(layers), {y.bottom[0] for y in layers if y.type == "ReLU"}
    triples = zip(layers, cost.layers, _bottoms(layers, cost.layers), strict=True)
    found = [
        WeightedLayer(
            layer,
            made.blobs,
            bottoms,
            _task(layer.name, tasks),
            layer.name in heads,
            layer.top[0] in relus,
        )
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
    """Return the names of classifiers: a loss or a softmax reads their top first."""
    makers = {top: layer.name for layer in layers for top in layer.top}
    ends = (layer for layer in layers if layer.type == "Softmax" or layer.type.endswith("Loss"))
    return {makers[layer.bottom[0]] for layer in ends if layer.bottom}


def _task(name: str, tasks: tuple[str, ...]) -> str | None:
    return next((task for task in tasks if name.endswith(f"_{task}")), None)
