"""A deploy network: its prototxt, input, heads, and the weights for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.caffe.schema import layers_in, read_net
from netgen.cost.complexity import count
from netgen.cost.layers.layer_types import Shape
from netgen.network.dataset import Images
from netgen.system.text import shape_text


class DeployedError(ValueError):
    """A network or weights that cannot be used together; the message says what to do."""


@dataclass(frozen=True)
class DeployedHead:
    """Where a network has its scores for a task, before the Softmax.

    `layer` makes them, in the blob `blob`, one for each of `outputs` classes.
    """

    task: str
    layer: str
    blob: str
    outputs: int


@dataclass(frozen=True)
class Deployed:
    """A deploy network: its title, its input blob with its shape C x H x W, and its heads."""

    file: Path
    title: str
    input: str
    shape: Shape
    heads: tuple[DeployedHead, ...]
    parameters: int
    blobs: Mapping[str, tuple[Shape, ...]]


def read_deployed(file: Path, tasks: Sequence[str]) -> Deployed:
    """Read a deploy prototxt and find its input, and the head of each of `tasks`.

    A head is what a Softmax layer reads. The layer is called ``prob_<task>``, or anything where
    there is one task and one Softmax.

    Raises
    ------
    ValueError
        The file is not a network, has no input, or lacks a head.
    """
    net = read_net(file)
    layers = layers_in(net, "TEST")
    inputs = [layer for layer in layers if layer.type == "Input"]
    if len(inputs) != 1 or len(inputs[0].top) != 1:
        raise DeployedError(
            f"{file}: {len(inputs)} Input layers, but a deploy network has one: give"
            " deploy.prototxt, not train_val.prototxt (`netgen build` writes both)"
        )
    cost = count(net, "TEST")
    shapes = {top.name: top.shape for layer in cost.layers for top in layer.tops}
    shape = shapes[inputs[0].top[0]]
    if shape is None or len(shape) != 4:
        raise DeployedError(f"{file}: its input is not stated as N x C x H x W: write input_param")
    return Deployed(
        file=file,
        title=net.name,
        input=inputs[0].top[0],
        shape=shape[1:],
        heads=tuple(_head(file, layers, shapes, task, len(tasks) == 1) for task in tasks),
        parameters=cost.parameters,
        blobs={layer.name: layer.blobs for layer in cost.layers if layer.blobs},
    )


def _head(
    file: Path,
    layers: Sequence[LayerParameter],
    shapes: Mapping[str, Shape | None],
    task: str,
    only: bool,
) -> DeployedHead:
    softmaxes = [layer for layer in layers if layer.type == "Softmax"]
    named = [layer for layer in softmaxes if layer.name == f"prob_{task}"]
    found = named or (softmaxes if only else [])
    if len(found) != 1:
        has = ", ".join(layer.name for layer in softmaxes) or "none"
        raise DeployedError(
            f"{file}: no Softmax layer prob_{task} (it has {has}): is it a network for this dataset"
            " and this variant?"
        )
    blob = found[0].bottom[0]
    maker = [layer.name for layer in layers if blob in layer.top][-1]
    shape = shapes[blob]
    return DeployedHead(task, maker, blob, shape[1] if shape else 0)


def check_images(network: Deployed, images: Images, name: str) -> None:
    """Check that the network takes images of the shape that those of the dataset `name` have.

    Raises
    ------
    DeployedError
        It takes others.
    """
    shape = (images.channels, images.height, images.width)
    if network.shape != shape:
        raise DeployedError(
            f"{network.file}: takes images of {shape_text(network.shape)},"
            f" but those of {name} are {shape_text(shape)}:"
            " build it for this dataset (`netgen build --dataset`)"
        )


def check_classes(network: Deployed, classes: Mapping[str, int], name: str) -> None:
    """Check that the network has as many outputs for its tasks as the dataset `name` has classes.

    Raises
    ------
    DeployedError
        It has others.
    """
    for head in network.heads:
        if head.outputs != classes[head.task]:
            raise DeployedError(
                f"{network.file}: {head.outputs:,} outputs for {head.task}, which has"
                f" {classes[head.task]:,} classes in {name}: build the network for this dataset,"
                " or, to test one with more outputs, name them in a file (`netgen eval --classes`)"
            )
