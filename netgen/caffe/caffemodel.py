"""Read and write caffemodels with blobs as numpy arrays.

protobuf's reader would make 43 million Python floats from X_S's weights. In the file, a packed list
of floats is a string of bytes; so this module reads the file with a schema in which the numbers of
blobs are bytes, and uses these as arrays without conversion.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from netgen.caffe import caffe_pb2, legacy
from netgen.caffe.schema import SchemaError, read_caffemodel
from netgen.system.files import check_regular, digest, read_file
from netgen.system.text import shape_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
OPTIONAL = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
NUMBERS = {"data": "<f4", "diff": "<f4", "double_data": "<f8", "double_diff": "<f8"}
HE_RESNET50 = "b7c79ccc21ad0479cddc0dd78b1d20c4d722908d"  # SHA-1 of ResNet-50-model.caffemodel
LARGEST = 2 * 2**30  # protobuf itself reads no larger message
AXES_OF_2014 = ("num", "channels", "height", "width")
PEEK = 256  # bytes that show a prototxt: a caffemodel has binary lengths among the first
Shape = tuple[int, ...]


# How a SolverState begins: its iteration, then the size of its caffemodel's name.
STATE = re.compile(
    rb"\x08[\x80-\xff]{0,9}[\x00-\x7f]\x12(?P<size>[\x00-\x7f]|[\x80-\xff][\x00-\x7f])"
)
STATE_SUFFIX = ".solverstate"
LONGEST_START = 2**13  # bytes of that, with the longest path


class CaffemodelError(ValueError):
    """A caffemodel that cannot be used; the message says what, where and what next."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A layer of a caffemodel: its name, type and blobs, each in its shape.

    `strides` are those of a convolution; empty where the file does not say, as netgen's do not.
    """

    name: str
    type: str
    blobs: tuple[NDArray[np.floating[Any]], ...]
    strides: tuple[int, ...] = ()


def read_weights(path: str | os.PathLike[str]) -> list[Weights]:
    """Read the layers of a caffemodel that have blobs; the file is read once.

    Raises
    ------
    SchemaError
        When it is not a caffemodel, damaged or truncated.
    CaffemodelError
        When it is text, a blob's numbers do not fill its shape, or no layer has any.
    """
    data, file = _read(path), os.fspath(path)
    if _is_text(data[:PEEK]):
        raise CaffemodelError(
            f"{file}: text, not weights: give what Caffe's snapshot wrote (*.caffemodel)"
        )
    try:
        net = _net_class().FromString(data)
    except DecodeError:
        read_caffemodel(path)  # raises an error that says what is wrong with it
        raise SchemaError(f"{file}: damaged, or not a caffemodel") from None
    weights = [layer for layer in _layers(net, file) if layer.blobs]
    if not weights:
        raise CaffemodelError(
            f"{file}: no weights in it: give what Caffe's snapshot wrote (*.caffemodel)"
        )
    return weights


def to_caffemodel(name: str, weights: Iterable[Weights]) -> bytes:
    """Return the caffemodel of these layers of the network `name`; numbers in single precision."""
    net = _net_class()(name=name)
    for layer in weights:
        made = net.layer.add(name=layer.name, type=layer.type)
        for blob in layer.blobs:
            made.blobs.add(data=blob.astype(NUMBERS["data"]).tobytes()).shape.dim.extend(blob.shape)
    data: bytes = net.SerializeToString()
    return data


def model_of_state(path: Path) -> Path | None:
    """Return the caffemodel beside a solverstate, there or not; None for another file.

    A solverstate begins with its iteration and the name of that caffemodel. Where the name of the
    file alone tells, as of a damaged one, so does that of the caffemodel.

    Raises
    ------
    OSError
        It is no file, or cannot be read.
    """
    check_regular(path)
    with path.open("rb") as file:
        start = file.read(LONGEST_START)
    if found := STATE.match(start):
        low, high = found["size"][0], found["size"][1:] or b"\0"
        name = start[found.end() :][: low % 128 + 128 * high[0]].decode(errors="replace")
        if ".caffemodel" in name:
            return path.with_name(Path(name).name)
    if STATE_SUFFIX in path.suffixes:
        return path.with_name(path.name.replace(STATE_SUFFIX, ".caffemodel"))
    return None


def sha1(path: Path) -> str:
    """Return the SHA-1 of a file, in hexadecimal; caffemodels are published with it."""
    return digest(path, "sha1")


def published_by_he(checksum: str) -> bool:
    """Return whether a SHA-1 is that of the ResNet-50 that He published."""
    return checksum == HE_RESNET50


def shapes_text(blobs: Iterable[Shape]) -> str:
    """Write the shapes of a layer's blobs: "64 x 3 x 7 x 7, 64"."""
    return ", ".join(map(shape_text, blobs))


def _read(path: str | os.PathLike[str]) -> bytes:
    file = os.fspath(path)
    try:
        if check_regular(path).st_size > LARGEST:
            raise SchemaError(f"{file}: over 2 GB, more than Caffe can read: is it the right file?")
        return read_file(path, LARGEST)
    except OSError as error:
        raise SchemaError(f"{file}: {error.strerror}: check the path") from None


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode()
    except UnicodeDecodeError:
        return False
    return bool(text) and all(sign.isprintable() or sign.isspace() for sign in text)


@cache
def _net_class() -> Any:
    """Return a NetParameter class in which BlobProto's numbers are bytes."""
    file = descriptor_pb2.FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(file)
    blob = next(message for message in file.message_type if message.name == "BlobProto")
    for field in blob.field:
        if field.name in NUMBERS:
            field.type, field.label = BYTES, OPTIONAL
            field.ClearField("options")  # which say that it is packed
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    name = caffe_pb2.NetParameter.DESCRIPTOR.full_name
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def _layers(net: Any, file: str) -> Iterator[Weights]:
    for layer in net.layer:
        yield Weights(layer.name, layer.type, _arrays(layer, file), strides_of(layer))
    for layer in net.layers:
        kind = legacy.type_name(layer.type)
        yield Weights(layer.name, kind, _arrays(layer, file), strides_of(layer))


def strides_of(layer: Any) -> tuple[int, ...]:
    """Return a convolution's strides; () where its parameters are not there."""
    if not layer.HasField("convolution_param"):
        return ()
    param = layer.convolution_param
    sides = (param.stride_h, param.stride_w) if param.HasField("stride_h") else ()
    return sides or tuple(param.stride) or (1,)


def _arrays(layer: Any, file: str) -> tuple[NDArray[np.floating[Any]], ...]:
    return tuple(_array(blob, f"{file}: layer {layer.name!r}") for blob in layer.blobs)


def _shape(blob: Any) -> Shape:
    """Return a blob's axes: those of 2014 only where one is set, since a scalar has none."""
    old = any(blob.HasField(axis) for axis in AXES_OF_2014)
    shape = tuple(blob.shape.dim)
    return shape or (tuple(getattr(blob, axis) for axis in AXES_OF_2014) if old else ())


def _array(blob: Any, where: str) -> NDArray[np.floating[Any]]:
    import numpy as np

    field = "data" if blob.data or not blob.double_data else "double_data"
    content = getattr(blob, field)
    shape = _shape(blob)
    whole = len(content) % np.dtype(NUMBERS[field]).itemsize == 0
    values = np.frombuffer(content, NUMBERS[field]) if whole else np.empty(0)
    if any(size < 0 for size in shape) or prod(shape) != values.size:
        raise CaffemodelError(
            f"{where}: a blob of shape {shapes_text([shape])} holds {values.size:,} numbers:"
            " the file is damaged, or written by a program that is not Caffe"
        )
    try:
        return values.reshape(shape)
    except ValueError:  # no numbers, of more axes or larger ones than NumPy has
        raise CaffemodelError(
            f"{where}: a blob of shape {shapes_text([shape])}: the file is damaged"
        ) from None
