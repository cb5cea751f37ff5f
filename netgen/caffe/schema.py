"""Read Caffe's files, text and binary, as messages: checked, and upgraded to today's form.

netgen reads every network, solver and caffemodel with this module. A faulty file raises one
:class:`SchemaError` with the place, the fault and the next step.
Fields that netgen's schema does not have (other branches of Caffe have many) are omitted with one
:class:`SchemaWarning` that names them, and the branch where it is known: such a network can still
be counted and audited.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from google.protobuf.message import DecodeError, Message

from netgen.caffe import caffe_pb2, legacy, prototext
from netgen.system.files import MODELS, check_regular, read_file
from netgen.system.text import check_name, listed

Phase = Literal["TRAIN", "TEST"]
M = TypeVar("M", bound=Message)

# The deepest published networks' prototxt is a third of 1 MB; protobuf reads 2 MB of it a second.
LARGEST_TEXT = 2 * 2**20
MOST_UNKNOWN = 8  # fields that a warning names

# How weights of other programs begin.
CONVERTED = {
    b"\x89HDF": "an HDF5 file",
    b"PK\x03\x04": "a zip archive",
    b"\x08": "perhaps ONNX",
    b"\x80": "a pickle",
}
STATE = "a solverstate"
# Files that users give by mistake, recognised by their first bytes.
MAGIC = CONVERTED | {
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"GIF8": "a GIF image",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"\x7fELF": "a program",
}


class SchemaError(ValueError):
    """A file that is not what it should be; the message says where, what and what to do next."""


class SchemaWarning(UserWarning):
    """Fields of a file that netgen's schema does not have and that were therefore omitted.

    `fields` has the line of each, by `Message.field`.
    """

    def __init__(self, message: str, fields: Mapping[str, int]) -> None:
        super().__init__(message)
        self.fields = fields


def read_net(path: str | os.PathLike[str]) -> caffe_pb2.NetParameter:
    """Read a network's prototxt, legacy or current.

    Parameters
    ----------
    path
        A text file, UTF-8, at most 2 MB.

    Returns
    -------
    NetParameter
        With `layer` only: V1 `layers` and `input` fields are upgraded as Caffe upgrades them.

    Raises
    ------
    SchemaError
        When the file is missing, is not text or not a network, or is older than V1.

    Warns
    -----
    SchemaWarning
        When it has fields that netgen's schema does not have.
    """
    return parse_net(_text(path), os.fspath(path))


def parse_net(text: str, source: str = "<text>") -> caffe_pb2.NetParameter:
    """Parse a network's prototxt; `source` is its name in errors. Otherwise as :func:`read_net`."""
    net = _parse(text, caffe_pb2.NetParameter(), source)
    _upgrade(legacy.upgrade_net, net, source)
    _check_names(net, source)
    for layer in net.layer:
        try:
            _check_rules(layer)
        except SchemaError as error:
            raise SchemaError(f"{source}: {error}") from None
    if not net.layer:
        raise SchemaError(f"{source}: no layers in it: is it a network's prototxt, not a solver's?")
    return net


def read_solver(path: str | os.PathLike[str]) -> caffe_pb2.SolverParameter:
    """Read a solver's prototxt.

    Returns
    -------
    SolverParameter
        With the enumeration `solver_type` of 2014 replaced by the string `type`.

    Raises
    ------
    SchemaError
        When the file is missing, is not text, or names no network to train.
    """
    return parse_solver(_text(path), os.fspath(path))


def parse_solver(text: str, source: str = "<text>") -> caffe_pb2.SolverParameter:
    """Parse a solver's prototxt; `source` is its name in errors. Else as :func:`read_solver`."""
    solver = _parse(text, caffe_pb2.SolverParameter(), source)
    nets = ("net", "net_param", "train_net", "train_net_param")
    if not any(solver.HasField(field) for field in nets):
        what = f"names no network: a solver needs one of {', '.join(nets)}"
        what += "" if solver.ListFields() else "; is it a network's prototxt, not a solver's?"
        raise SchemaError(f"{source}: {what}")
    _upgrade(legacy.upgrade_solver, solver, source)
    return solver


def read_caffemodel(path: str | os.PathLike[str]) -> caffe_pb2.NetParameter:
    """Read the binary weights of a network.

    Returns
    -------
    NetParameter
        Its layers' `blobs` hold the weights; upgraded as by :func:`read_net`.

    Raises
    ------
    SchemaError
        When the file is missing, truncated, not a caffemodel, or in HDF5.
    """
    data, source = _bytes(path), os.fspath(path)
    try:
        net = caffe_pb2.NetParameter.FromString(data)
    except DecodeError:
        kind = _kind(data) or "damaged or truncated"
        next_step = "compare its size and checksum with where it came from"
        if kind in CONVERTED.values():
            next_step = "`netgen init --from` makes one from what other programs wrote"
        elif kind == STATE:
            next_step = "name the .caffemodel beside it"
        raise SchemaError(f"{source}: {kind}, not a readable caffemodel: {next_step}") from None
    _upgrade(legacy.upgrade_net, net, source)
    if not net.layer:
        raise SchemaError(f"{source}: no layers in it: is it a caffemodel, not a mean or a state?")
    _check_names(net, source)
    return net


def layers_in(
    net: caffe_pb2.NetParameter,
    phase: Phase,
    stages: Sequence[str] = (),
    level: int | None = None,
) -> list[caffe_pb2.LayerParameter]:
    """Return the layers that Caffe would build, in order (its `Net::FilterNet`).

    Parameters
    ----------
    net
        An upgraded network.
    phase, stages, level
        The state that selects the layers. Stages are added to those of the network's own `state`;
        a given level replaces its level.

    Raises
    ------
    SchemaError
        When a layer has both `include` and `exclude` rules.
    """
    state = caffe_pb2.NetState(
        phase=phase,
        level=net.state.level if level is None else level,
        stage=[*net.state.stage, *stages],
    )
    return [layer for layer in net.layer if _included(layer, state)]


def _included(layer: caffe_pb2.LayerParameter, state: caffe_pb2.NetState) -> bool:
    _check_rules(layer)
    if layer.include:
        return any(_meets(state, rule) for rule in layer.include)
    return not any(_meets(state, rule) for rule in layer.exclude)


def _check_rules(layer: caffe_pb2.LayerParameter) -> None:
    if layer.include and layer.exclude:
        raise SchemaError(f"layer {layer.name!r} has include and exclude rules: keep one kind")


def _meets(state: caffe_pb2.NetState, rule: caffe_pb2.NetStateRule) -> bool:
    """Return whether a state meets a rule: Caffe's `Net::StateMeetsRule`."""
    present = set(state.stage)
    return not (
        (rule.HasField("phase") and rule.phase != state.phase)
        or (rule.HasField("min_level") and state.level < rule.min_level)
        or (rule.HasField("max_level") and state.level > rule.max_level)
        or not present.issuperset(rule.stage)
        or not present.isdisjoint(rule.not_stage)
    )


def _bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        return read_file(path, MODELS)
    except OSError as error:
        raise SchemaError(f"{os.fspath(path)}: {error.strerror}: check the path") from None


def _text(path: str | os.PathLike[str]) -> str:
    """Read a text file, refusing by size before reading and by content before parsing."""
    source = os.fspath(path)
    try:
        size = check_regular(path).st_size
    except OSError as error:
        raise SchemaError(f"{source}: {error.strerror}: check the path") from None
    if size > LARGEST_TEXT:
        raise SchemaError(
            f"{source}: {size / 2**20:,.0f} MB, where a network's prototxt has less than 1: "
            f"text over {LARGEST_TEXT // 2**20} MB is not read; are there weights in it?"
        )
    data = _bytes(path)
    kind = _kind(data)
    if kind or b"\0" in data:
        raise SchemaError(f"{source}: {kind or 'binary'}, not text: give the network's prototxt")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SchemaError(
            f"{source}:{line}: byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8"
        ) from None


def _kind(data: bytes) -> str | None:
    """Return the kind of an unexpected file, recognised by its first bytes; None if not known."""
    if _is_state(data):
        return STATE
    for magic, kind in MAGIC.items():
        if data.startswith(magic):
            return kind
    try:
        net = caffe_pb2.NetParameter.FromString(data)
    except DecodeError:
        return None
    has_weights = any(layer.blobs for layer in net.layer) or any(old.blobs for old in net.layers)
    return "a caffemodel" if has_weights else None


def _is_state(data: bytes) -> bool:
    """Return whether this is a solver's state, which begins as ONNX does: iteration, momenta."""
    try:
        state = caffe_pb2.SolverState.FromString(data)
    except DecodeError:
        return False
    return state.HasField("iter") and bool(state.history)


def _check_names(net: caffe_pb2.NetParameter, source: str) -> None:
    check_name(net.name, source, SchemaError)
    for layer in net.layer:
        parameters = (each.name for each in layer.param)
        for name in (layer.name, layer.type, *layer.bottom, *layer.top, *parameters):
            check_name(name, source, SchemaError)


def _upgrade(upgrade: Callable[[M], None], message: M, source: str) -> None:
    try:
        upgrade(message)
    except ValueError as error:
        raise SchemaError(f"{source}: {error}") from None


def _parse(text: str, message: M, source: str) -> M:
    try:
        unknown = prototext.parse(text, message)
    except prototext.EmptyError:
        raise SchemaError(f"{source}: empty: was it written completely?") from None
    except ValueError as error:
        raise SchemaError(f"{source}:{error}") from None
    if unknown:
        _warn(unknown, source)
    return message


def _warn(unknown: dict[str, int], source: str) -> None:
    what = f"{source}: omitted what netgen's schema does not have: {unknown_text(unknown)}"
    warnings.warn(SchemaWarning(what, unknown), stacklevel=4)


def is_of_a_branch(field: str) -> bool:
    """Return whether a branch of Caffe is known to have a field (`Message.field`)."""
    return bool(prototext.origin_of(field))


def unknown_text(fields: Mapping[str, int]) -> str:
    """Write unknown fields with their lines, and the branch of Caffe that has them, if known."""
    names = [f"{x[:60]} (line {line}{prototext.origin_of(x)})" for x, line in fields.items()]
    return listed(names, MOST_UNKNOWN)
