"""An exported network: one ONNX file that says itself what it takes and what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from netgen.caffe.engine import EngineError
from netgen.evaluation.deployed import Deployed, DeployedError, DeployedHead, read_deployed
from netgen.network.description import Description, check_description
from netgen.system.files import MODELS, check_regular, read_file
from netgen.system.text import printable, shape_text

if TYPE_CHECKING:
    import onnx

START = b"\x08"  # of ONNX: its first field is a number. A caffemodel's is a name, of another type
AGAIN = "export it again with `netgen export --onnx`"


class _Scores(msgspec.Struct):
    """What the metadata for other programs say of a task."""

    task: str
    scores: str


class _About(msgspec.Struct):
    """What they say of all: the mean that is to be subtracted, none where the graph does."""

    mean: list[float]
    parameters: int
    tasks: list[_Scores]


@dataclass(frozen=True)
class Exported:
    """An exported network and its description.

    `subtracts`: its graph subtracts the mean, so that it takes pixels.
    """

    network: Deployed
    description: Description
    subtracts: bool


def is_onnx(path: Path) -> bool:
    """Return whether a file begins as ONNX does."""
    try:
        check_regular(path)
        with path.open("rb") as file:
            return file.read(len(START)) == START
    except OSError:
        return False


def read_network(file: Path, tasks: Sequence[str]) -> Deployed:
    """Read a deploy prototxt, or an exported network, with the heads of these tasks.

    Raises
    ------
    ValueError
        It is neither, or lacks a head.
    EngineError
        It is ONNX, and what reads that is missing.
    """
    if not is_onnx(file):
        return read_deployed(file, tasks)
    network = read_exported(file).network
    heads = {head.task: head for head in network.heads}
    if missing := [task for task in tasks if task not in heads]:
        raise DeployedError(f"{file}: no output for {missing[0]}: it has {', '.join(heads)}")
    return replace(network, heads=tuple(heads[task] for task in tasks))


def read_exported(file: Path) -> Exported:
    """Read what `netgen export --onnx` wrote.

    Raises
    ------
    DeployedError
        It is not that: damaged, of another program or of an older netgen.
    EngineError
        The package onnx is missing.
    """
    if find_spec("onnx") is None:
        raise EngineError(
            f"{file}: ONNX needs the package onnx, which this Python does not have:"
            " pip install 'netgen[onnx]'"
        )
    import onnx
    from google.protobuf.message import DecodeError

    from netgen.weights.incoming.onnx_graph import check_whole, stored
    from netgen.weights.outgoing.about import DESCRIPTION

    try:
        model = onnx.load_model_from_string(read_file(file, MODELS))
    except (DecodeError, OSError):
        raise DeployedError(f"{file}: begins like ONNX, but is damaged or truncated") from None
    for name, tensor in stored(model.graph):
        check_whole(str(file), name, tensor)
    said = {each.key: each.value for each in model.metadata_props}
    try:
        description = msgspec.json.decode(said[DESCRIPTION], type=Description)
        about = msgspec.json.decode(said["netgen"], type=_About)
        fed = model.graph.input[0]
    except (KeyError, IndexError, RecursionError, msgspec.DecodeError):
        raise DeployedError(
            f"{file}: ONNX that does not say what it takes and gives, as netgen's does: {AGAIN}"
        ) from None
    check_description(description, str(file), DeployedError)
    subtracts = _check_said(file, model.graph, description, about)
    network = Deployed(
        file=file,
        title=model.graph.name,
        input=fed.name,
        shape=tuple(dim.dim_value for dim in fed.type.tensor_type.shape.dim[1:]),
        heads=tuple(
            DeployedHead(one.task, entry.scores, entry.scores, one.classes)
            for one, entry in zip(description.outputs, about.tasks, strict=True)
        ),
        parameters=about.parameters,
        blobs={},
    )
    return Exported(network, description, subtracts)


def _check_said(
    file: Path, graph: onnx.GraphProto, description: Description, about: _About
) -> bool:
    """Check that a graph does what its metadata say; return whether it subtracts the mean.

    Raises
    ------
    DeployedError
        It does something else, or they contradict each other.
    """

    def refuse(what: str) -> NoReturn:
        raise DeployedError(f"{file}: changed after `netgen export` wrote it: {what}: {AGAIN}")

    import onnx

    inner = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    if odd := [n.op_type for n in graph.node if any(each.type in inner for each in n.attribute)]:
        refuse(f"an operator {printable(odd[0])}, which no network of netgen's has")
    fed = graph.input[0].name
    subtracts = any(node.op_type == "Sub" and fed in node.input for node in graph.node)
    if tuple(about.mean) != (() if subtracts else description.images.mean):
        refuse("what it says of its mean contradicts itself or its graph")
    if [one.task for one in description.outputs] != [entry.task for entry in about.tasks]:
        refuse("what it says of its tasks contradicts itself")
    renamed = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Identity"}
    softmaxes = {
        node.output[0]: renamed.get(node.input[0], node.input[0])
        for node in graph.node
        if node.op_type == "Softmax"
    }
    outputs = {each.name: each.type.tensor_type.shape.dim for each in graph.output}
    for one, entry in zip(description.outputs, about.tasks, strict=True):
        scores, output = entry.scores, f"prob_{one.task}"
        if softmaxes.get(renamed.get(output, output)) != renamed.get(scores, scores):
            refuse(f"{printable(scores)!r} are not the scores of {one.task}")
        sizes = [dim.dim_value for dim in outputs.get(scores, ())][1:]
        if prod(sizes) != one.classes or not sizes:
            refuse(f"{shape_text(sizes)} scores of {one.task}, which has {one.classes} classes")
    return subtracts
