"""An ONNX graph as what matters of it: its numbers, and which node reads which tensor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from netgen.system.text import check_name, listed, printable, shape_text
from netgen.weights.incoming.units import ForeignError

# What computes nothing here: tensors go through it. A first Transpose changes how the images come.
PASSED = ("Identity", "Dropout", "Transpose", "Cast")
HEAD = ("AveragePool", "GlobalAveragePool", "ReduceMean", "Reshape", "Flatten", "Squeeze", "Gemm",
        "MatMul", "Softmax")  # fmt: skip
LAST_TO_FIRST, FIRST_TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
TRUNK = ("Conv", "BatchNormalization", "Relu", "MaxPool", "Add", "Pad", "Constant")
WHOLE = "save it in one file (onnx.save_model(..., save_as_external_data=False))"


@dataclass(frozen=True)
class Node:
    """An operator: its type, its name, what it reads and makes, and its attributes."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class OnnxGraph:
    """A graph: its input, its nodes in order, its numbers, and its metadata.

    `channels_last`: images come as N x H x W x C.
    """

    file: str
    input: str
    nodes: tuple[Node, ...]
    numbers: Mapping[str, NDArray[Any]]
    metadata: Mapping[str, str]
    channels_last: bool

    def readers(self, tensor: str) -> list[Node]:
        """Return the nodes that read a tensor."""
        return [node for node in self.nodes if tensor in node.inputs]

    def constant(self, node: Node, index: int) -> NDArray[Any]:
        """Return the numbers that a node reads; ForeignError where the graph computes them."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self.numbers:
            raise ForeignError(
                f"{self.file}: {node.operator} {node.name!r}: its input {index} ({name!r}) is"
                " computed by the graph, not stored: export the network for inference"
            )
        return self.numbers[name]


def read_graph(file: str, content: bytes) -> tuple[onnx.ModelProto, OnnxGraph]:
    """Read an ONNX file's graph; no other file is opened, whatever it names.

    Raises
    ------
    ForeignError
        It is damaged, keeps its numbers in other files, or has operators that no ResNet has.
    """
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        raise ForeignError(f"{file}: begins like ONNX, but is damaged or truncated") from None
    graph = model.graph
    if not graph.node:
        raise ForeignError(f"{file}: an ONNX file without operators: truncated?")
    _check_operators(file, graph)
    _check_names(file, model)
    numbers = dict(_numbers(file, graph))
    fed = [each.name for each in graph.input if each.name not in numbers]
    if len(fed) != 1:
        raise ForeignError(
            f"{file}: {len(fed)} inputs ({listed(list(map(str, fed)))}), where a ResNet has one"
        )
    try:
        nodes, channels_last = _nodes(file, graph, fed[0], numbers)
    except (TypeError, ValueError) as error:
        if isinstance(error, ForeignError):
            raise
        raise ForeignError(f"{file}: ONNX with an attribute that is none: {error}") from None
    metadata = {each.key: each.value for each in model.metadata_props}
    return model, OnnxGraph(file, fed[0], tuple(nodes), numbers, metadata, channels_last)


def _check_operators(file: str, graph: onnx.GraphProto) -> None:
    known = (*PASSED, *HEAD, *TRUNK)
    strange = dict.fromkeys(
        f"{node.domain}.{node.op_type}" if node.domain else str(node.op_type)
        for node in graph.node
        if node.op_type not in known or node.domain not in ("", "ai.onnx")
    )
    if strange:
        named = printable(listed(list(strange)))
        raise ForeignError(
            f"{file}: operators that no ResNet-50 has: {named}: give one without quantisation,"
            " preprocessing or other parts"
        )


def _check_names(file: str, model: onnx.ModelProto) -> None:
    """Refuse tensors that are made twice, or read before they are made, as in a cycle."""
    graph = model.graph
    inputs = {each.name for each in graph.input}
    made = Counter(name for node in graph.node for name in node.output if name)
    stored = Counter(each.name for each in graph.initializer)
    for name in (model.producer_name, *inputs, *made, *stored, *(node.name for node in graph.node)):
        check_name(name, file, ForeignError)
    twice = [name for name, count in (made + stored).items() if count > 1]
    if twice := twice + [name for name in made if name in inputs]:
        raise ForeignError(f"{file}: tensors that are made twice: {listed(twice)}: damaged?")
    known = inputs | stored.keys()
    for node in graph.node:
        if not node.output or (node.op_type != "Constant" and not node.input):
            raise ForeignError(f"{file}: {node.op_type} {node.name!r} lacks inputs or outputs")
        if early := [name for name in node.input if name in made and name not in known]:
            raise ForeignError(
                f"{file}: {node.op_type} {node.name or node.output[0]!r} reads {early[0]!r}, which"
                " is made after it: a cycle, or damaged"
            )
        known.update(node.output)


def _numbers(file: str, graph: onnx.GraphProto) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield what is stored: initializers, and the values of Constant nodes."""
    for name, tensor in stored(graph):
        check_whole(file, name, tensor)
        if min(tensor.dims, default=0) < 0:
            raise ForeignError(f"{file}: {name!r}: damaged: a shape of {shape_text(tensor.dims)}")
        try:
            yield name, numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise ForeignError(f"{file}: {name!r}: damaged: {error}") from None
    if graph.sparse_initializer:
        raise ForeignError(f"{file}: sparse numbers, which no published ResNet-50 has")


def stored(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Yield the numbers that a graph holds, by the name of their tensor."""
    yield from ((each.name, each) for each in graph.initializer)
    for node in graph.node:
        for each in node.attribute:
            if node.op_type == "Constant" and each.name == "value" and node.output:
                yield node.output[0], each.t


def check_whole(file: str, name: str, tensor: onnx.TensorProto) -> None:
    """Refuse numbers that are in another file, wherever that is."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        where = next((e.value for e in tensor.external_data if e.key == "location"), "?")
        raise ForeignError(
            f"{file}: the numbers of {name!r} are in another file ({where!r}), which is not opened:"
            f" {WHOLE}"
        )


def _nodes(
    file: str, graph: onnx.GraphProto, fed: str, numbers: dict[str, NDArray[Any]]
) -> tuple[list[Node], bool]:
    """Return the nodes that compute something, and whether images come with channels last."""
    through: dict[str, str] = {}
    found, channels_last = [], False
    for node in graph.node:
        if node.op_type == "Constant":
            continue
        inputs = tuple(through.get(name, name) for name in node.input)
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        name = node.name or node.output[0]
        if node.op_type in PASSED:
            axes = attributes.get("perm") if node.op_type == "Transpose" else ()
            if inputs[0] in numbers:  # a number under another name
                kept = numbers[inputs[0]]
                numbers[node.output[0]] = kept if axes == () else np.transpose(kept, axes)
                continue
            through[node.output[0]] = inputs[0]
            if axes != ():
                known = (LAST_TO_FIRST,) if inputs[0] == fed else (LAST_TO_FIRST, FIRST_TO_LAST)
                if axes not in known:
                    raise ForeignError(
                        f"{file}: Transpose {name!r} of axes {axes}: only channels may move, from"
                        " last to first where the image comes in"
                    )
                channels_last |= inputs[0] == fed
            continue
        found.append(Node(node.op_type, name, inputs, node.output[0], attributes))
    return found, channels_last


def window(node: Node, kernel: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...]:
    """Return the padding of a window: top, left, bottom, right; `before` is that of a Pad.

    `auto_pad` is resolved where it does not depend on the image's size; else all are -1.
    """
    stride = stride_of(node)
    mode = node.attributes.get("auto_pad", b"NOTSET")
    pads = tuple(node.attributes.get("pads", (0, 0, 0, 0)))
    if mode in (b"SAME_UPPER", b"SAME_LOWER"):
        same = stride == 1 and all(side % 2 for side in kernel)
        alone = kernel == (1, 1)
        sides = tuple(side // 2 for side in kernel)
        pads = (*sides, *sides) if same or alone else (-1, -1, -1, -1)
    elif mode == b"VALID":
        pads = (0, 0, 0, 0)
    return tuple(int(one + other) for one, other in zip(pads, before, strict=True))


def stride_of(node: Node) -> int:
    """Return a window's stride; -1 where its two differ."""
    strides = set(node.attributes.get("strides", (1, 1)))
    return int(strides.pop()) if len(strides) == 1 else -1


def padding_of(graph: OnnxGraph, node: Node) -> tuple[int, ...]:
    """Return what a Pad adds: top, left, bottom, right; ForeignError where it pads otherwise."""
    pads = np.array(node.attributes.get("pads", ()))  # before opset 11
    if not pads.size:
        pads = graph.constant(node, 1)
    value = node.attributes.get("value", 0)
    if len(node.inputs) > 2 and node.inputs[2]:
        value = graph.constant(node, 2)
    plain = node.attributes.get("mode", b"constant") == b"constant" and not np.any(value)
    if pads.size != 8 or not plain or pads[[0, 1, 4, 5]].any():
        raise ForeignError(f"{graph.file}: Pad {node.name!r}: not zeros around an image")
    return tuple(int(pads[place]) for place in (2, 3, 6, 7))
