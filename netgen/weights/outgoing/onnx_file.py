"""Write a deploy network with its weights as one ONNX file, which other runtimes read.

A file's metadata holds what a program needs to use it: the input's mean, size and order of colours,
and for each task its output and the names of its classes. `onnx_layers` has the layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.caffe.caffemodel_check import check_weights
from netgen.caffe.schema import layers_in, read_net
from netgen.cost.complexity import NetCost, count
from netgen.cost.layers.layer_types import Shape
from netgen.cost.wiring import Wired, wire
from netgen.network.description import Description
from netgen.system.text import listed
from netgen.weights.outgoing.about import metadata
from netgen.weights.outgoing.onnx_layers import Array, ExportError, Graph, statistics, write_layer

# Of what the operators mean, and of the file's form: what runtimes of the last years read.
OPSET, IR_VERSION = 17, 8
Blobs = Mapping[str, Sequence[Array]]  # layer -> its blobs
MEAN = "mean"


@dataclass(frozen=True)
class ExportOptions:
    """How a network is written.

    Attributes
    ----------
    fold
        Whether BatchNorm and Scale are folded into the convolutions before them.
    preprocessing
        Whether the graph subtracts the mean: its input is then pixels, 0 to 255.
    """

    fold: bool = False
    preprocessing: bool = False


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file: its content, how many operators it has, and what its ends are called."""

    content: bytes
    operators: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def onnx_file(
    network: Path, weights: Path, description: Description | None, options: ExportOptions
) -> OnnxFile:
    """Return a deploy network as an ONNX file, checked by ONNX.

    Its input is the deploy network's, N x C x H x W in B, G, R for any N; its outputs are those of
    the network, and then the scores that each Softmax reads.

    Raises
    ------
    ValueError
        The network or the weights cannot be read, do not belong together, or ONNX has nothing for
        a layer (`ExportError`).
    """
    net = read_net(network)
    cost = count(net, "TEST")
    needed = {layer.name: layer.blobs for layer in cost.layers if layer.blobs}
    found = check_weights(weights, network, needed)
    blobs: Blobs = {name: layer.blobs for name, layer in found.layers.items()}
    graph = Graph()
    layers = layers_in(net, "TEST")
    inputs = _inputs(network, cost, layers, graph)
    if options.preprocessing:
        _subtract(description, graph, network)
    if options.fold:
        layers, blobs = _fold(layers, blobs)
    layers, blobs = _merge(layers, blobs)
    for layer in layers:
        if layer.type != "Input":
            shapes = [graph.shapes[blob] for blob in layer.bottom]
            write_layer(graph, layer, shapes, blobs.get(layer.name, ()))
    outputs = [_value(_named(graph, blob), graph.shapes[blob]) for blob in _results(layers)]
    made = helper.make_graph(graph.nodes, net.name or "network", inputs, outputs)
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        producer_name="netgen", producer_version=version("netgen"),
    )  # fmt: skip
    model.graph.initializer.extend(graph.constants)  # which are copied here, and not before too
    helper.set_model_props(model, metadata(description, net, cost, options.preprocessing))
    content: bytes = model.SerializeToString()
    onnx.checker.check_model(content, full_check=True)
    ends = (tuple(each.name for each in side) for side in (made.input, made.output))
    return OnnxFile(content, len(made.node), *ends)


# ---- the graph's ends ---------------------------------------------------------------------------


def _inputs(
    network: Path, cost: NetCost, layers: Sequence[LayerParameter], graph: Graph
) -> list[onnx.ValueInfoProto]:
    """Note the shapes of all blobs, and return the graph's inputs."""
    for layer in cost.layers:
        for top in layer.tops:
            if top.shape is None:
                raise ExportError(f"{network}: layer {layer.name!r}: its shape is not known")
            graph.shapes[top.name] = top.shape
    fed = [blob for layer in layers if layer.type == "Input" for blob in layer.top]
    sources = [layer.name for layer in layers if not layer.bottom and layer.type != "Input"]
    if not fed or sources:
        raise ExportError(
            f"{network}: {listed(sources) or 'nothing'} where a deploy network has an Input: give"
            " deploy.prototxt, not train_val.prototxt"
        )
    graph.names.update({blob: graph.new(blob) for blob in fed})
    return [_value(blob, graph.shapes[blob]) for blob in fed]


def _value(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape[1:]])


def _named(graph: Graph, blob: str) -> str:
    """Return the tensor that has a blob's values at last, under the blob's name if that is free."""
    tensor = graph.names[blob]
    return tensor if tensor == blob else graph.add("Identity", [tensor], blob)


def _results(layers: Sequence[LayerParameter]) -> list[str]:
    """Return the blobs that no layer reads, and then what a Softmax among their makers reads."""
    read = {blob for layer in layers for blob in layer.bottom if blob not in layer.top}
    made = dict.fromkeys(blob for layer in layers for blob in layer.top)
    unread = [blob for blob in made if blob not in read]
    scores = [
        layer.bottom[0]
        for layer in layers
        if layer.type == "Softmax" and layer.top[0] in unread and layer.bottom[0] not in unread
    ]
    return list(dict.fromkeys([*unread, *scores]))


def _subtract(description: Description | None, graph: Graph, network: Path) -> None:
    if description is None:
        raise ExportError(f"{network}: no deploy.json beside it says its mean: build it again")
    ((blob, tensor),) = graph.names.items()
    mean = np.array(description.images.mean, np.float32)[:, None, None]
    graph.names[blob] = graph.add("Sub", [tensor, graph.constant(MEAN, mean)], "without mean")


# ---- BatchNorm ----------------------------------------------------------------------------------


def _pairs(layers: Sequence[LayerParameter], first: str, second: str) -> Iterator[tuple[int, int]]:
    """Yield the places of layers of one type whose only reader is a layer of another type."""
    wired = wire(layers)
    readers: dict[int, list[int]] = {}
    for place, each in enumerate(wired):
        for blob in each.bottoms:
            readers.setdefault(id(blob), []).append(place)
    for place, each in enumerate(wired):
        if each.layer.type == first and len(each.tops) == 1:
            found = readers.get(id(each.tops[0]), [])
            if len(found) == 1 and _is_plain(wired[found[0]], second):
                yield place, found[0]


def _is_plain(wired: Wired, kind: str) -> bool:
    """Return whether it is a layer of a type with one input, and, a Scale, one gain a channel."""
    layer, param = wired.layer, wired.layer.scale_param
    plain = layer.type == kind and len(wired.bottoms) == 1
    return plain and (kind != "Scale" or (param.axis, param.num_axes) == (1, 1))


def _without(layers: list[LayerParameter], joined: Mapping[int, int]) -> list[LayerParameter]:
    """Leave out the second layer of each pair; the first makes what it made."""
    copies = []
    dropped = set(joined.values())
    for place, layer in enumerate(layers):
        if place in dropped:
            continue
        copy = LayerParameter()
        copy.CopyFrom(layer)
        last = place
        while last in joined:
            last = joined[last]
        copy.top[:] = layers[last].top
        copies.append(copy)
    return copies


def _merge(layers: list[LayerParameter], blobs: Blobs) -> tuple[list[LayerParameter], Blobs]:
    """Write a BatchNorm and the Scale that alone reads it as one operator, as ONNX has it."""
    joined = dict(_pairs(layers, "BatchNorm", "Scale"))
    merged = dict(blobs)
    for normal, scale in joined.items():
        gamma, *beta = blobs[layers[scale].name]
        merged[layers[normal].name] = [
            *blobs[layers[normal].name], gamma, *(beta or [np.zeros_like(gamma)]),
        ]  # fmt: skip
    return _without(layers, joined), merged


def _fold(layers: list[LayerParameter], blobs: Blobs) -> tuple[list[LayerParameter], Blobs]:
    """Fold BatchNorms, and the Scales that follow, into the convolutions before them."""
    normals = dict(_pairs(layers, "Convolution", "BatchNorm"))
    scales = dict(_pairs(layers, "BatchNorm", "Scale"))
    made, joined = dict(blobs), dict(normals)
    for convolution, normal in normals.items():
        scale = scales.get(normal)
        if scale is not None:
            joined[normal] = scale
        made[layers[convolution].name] = _folded(
            blobs, layers[convolution], layers[normal], None if scale is None else layers[scale]
        )
    return _without(layers, joined), made


def _folded(
    blobs: Blobs,
    convolution: LayerParameter,
    normal: LayerParameter,
    scale: LayerParameter | None,
) -> list[Array]:
    """Return a convolution's blobs with the BatchNorm, and Scale, that follow it."""
    mean, variance = statistics(blobs[normal.name])
    factor = 1 / np.sqrt(variance + normal.batch_norm_param.eps)
    gamma, beta = np.ones_like(mean), np.zeros_like(mean)
    if scale is not None:
        gamma, *rest = (blob.astype(np.float64).reshape(-1) for blob in blobs[scale.name])
        beta = rest[0] if rest else beta
    kernel, *bias = (blob.astype(np.float64) for blob in blobs[convolution.name])
    before = bias[0] if bias else np.zeros_like(mean)
    factor = factor * gamma
    return [kernel * factor[:, None, None, None], (before - mean) * factor + beta]
