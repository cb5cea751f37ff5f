"""An exported network: one ONNX file that says itself what it takes and what it gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import msgspec

from netgen.caffe.engine import EngineError
from netgen.evaluation.deployed import Deployed, DeployedError, DeployedHead, read_deployed
from netgen.network.description import Description
from netgen.system.files import MODELS, check_regular, read_file

START = b"\x08"  # of ONNX: its first field is a number. A caffemodel's is a name, of another type
AGAIN = "export it again with `netgen export --onnx`"


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

    from netgen.weights.incoming.onnx_graph import check_whole
    from netgen.weights.outgoing.about import DESCRIPTION

    try:
        model = onnx.load_model_from_string(read_file(file, MODELS))
    except (DecodeError, OSError):
        raise DeployedError(f"{file}: begins like ONNX, but is damaged or truncated") from None
    for tensor in model.graph.initializer:
        check_whole(str(file), tensor.name, tensor)
    said = {each.key: each.value for each in model.metadata_props}
    try:
        description = msgspec.json.decode(said[DESCRIPTION], type=Description)
        about = json.loads(said["netgen"])
        heads = tuple(
            DeployedHead(one.task, entry["scores"], entry["scores"], one.classes)
            for one, entry in zip(description.outputs, about["tasks"], strict=True)
        )
        fed = model.graph.input[0]
        network = Deployed(
            file=file,
            title=model.graph.name,
            input=fed.name,
            shape=tuple(dim.dim_value for dim in fed.type.tensor_type.shape.dim[1:]),
            heads=heads,
            parameters=int(about["parameters"]),
            blobs={},
        )
        return Exported(network, description, subtracts=not about["mean"])
    except (KeyError, IndexError, TypeError, ValueError, msgspec.DecodeError):
        raise DeployedError(
            f"{file}: ONNX that does not say what it takes and gives, as netgen's does: {AGAIN}"
        ) from None
