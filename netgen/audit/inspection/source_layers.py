"""What data layers of any type say of what they feed: source, split, order, batch, shape.

A database's content is not in a prototxt: here its name speaks, and `netgen audit --data` reads it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from netgen.audit.finding import InspectionFinding, InspectionVerdict, Rule
from netgen.caffe.caffe_pb2 import DataParameter, LayerParameter
from netgen.caffe.schema import Phase
from netgen.cost.complexity import READS_LABELS
from netgen.cost.layers.layer_types import Shape
from netgen.system.text import listed, value_text

PARAMETERS = {
    "Data": "data_param",
    "HDF5Data": "hdf5_data_param",
    "ImageData": "image_data_param",
    "MemoryData": "memory_data_param",
    "WindowData": "window_data_param",
}
TRANSFORMS = {"Data", "ImageData", "MemoryData", "WindowData"}
TRANSFORMS_NOT = {"DummyData", "HDF5Data", "Input", "Python"}
# Which split the words in a database's name stand for.
SPLITS: dict[str, Phase] = {
    "train": "TRAIN", "training": "TRAIN",
    "test": "TEST", "testing": "TEST", "val": "TEST", "valid": "TEST", "validation": "TEST",
}  # fmt: skip
# Fields of 2014 in data_param and its like, which `layers` of then used and a `layer` ignores.
SUPERSEDED = ("scale", "mean_file", "crop_size", "mirror")


class Order(Enum):
    """The order in which a layer reads its records; the value describes it."""

    KEYS = "in the order of their keys"
    LIST = "in the order of a list"
    RANDOM = "in a random order of their own (shuffle, rand_skip, windows)"
    PROGRAM = "as a program says"


@dataclass(frozen=True)
class SourceLayer:
    """A data layer of a phase, in a file."""

    file: str
    phase: Phase
    layer: LayerParameter

    def finding(
        self, field: str, what: str, verdict: InspectionVerdict, rule: Rule = Rule.PAPER
    ) -> InspectionFinding:
        """Return a finding about a field of the layer."""
        where = f"{self.file}: {self.layer.name}, {field}"
        return InspectionFinding(where, what, verdict, rule, self.phase)


def is_source(layer: LayerParameter) -> bool:
    """Return whether a layer feeds a network by itself, as no layer of a deploy network does.

    That is every layer that reads nothing, also of Python and of types that netgen does not know;
    but not Input, which waits for a program, nor Parameter.
    """
    return len(layer.top) > 0 and not layer.bottom and layer.type not in ("Input", "Parameter")


def feeds_training(layers: Sequence[LayerParameter]) -> bool:
    """Return whether the layers of a phase are those of a network that trains or is tested.

    Sources feed it; or a program does, through an Input whose blob is read as labels.
    """
    given = {top for layer in layers if layer.type == "Input" for top in layer.top}
    labels = {blob for layer in layers if layer.type in READS_LABELS for blob in layer.bottom[1:2]}
    return any(map(is_source, layers)) or not given.isdisjoint(labels)


def source_of(layer: LayerParameter) -> str:
    """Return the path that a data layer reads; "" where it has none."""
    name = PARAMETERS.get(layer.type)
    path = str(getattr(getattr(layer, name), "source", "")) if name else ""
    return os.path.normpath(path) if path else ""


def batch_of(layer: LayerParameter) -> int:
    """Return a data layer's batch size; 0 where its prototxt does not say."""
    if layer.type in PARAMETERS:
        return int(getattr(layer, PARAMETERS[layer.type]).batch_size)
    shape = stated_shape(layer, layer.top[0]) if layer.top else None
    return shape[0] if shape else 0


def stated_shape(layer: LayerParameter, blob: str) -> Shape | None:
    """Return the shape that a layer's fields give one of its tops; None where they do not."""
    top = list(layer.top).index(blob)
    if layer.type == "MemoryData" and not top:
        memory = layer.memory_data_param
        return memory.batch_size, memory.channels, memory.height, memory.width
    images = layer.image_data_param
    if layer.type == "ImageData" and not top and images.new_height and images.new_width:
        channels = 3 if images.is_color else 1
        return images.batch_size, channels, images.new_height, images.new_width
    shapes = {"Input": layer.input_param.shape, "DummyData": layer.dummy_data_param.shape}
    stated = [tuple(shape.dim) for shape in shapes.get(layer.type, ())]
    return stated[min(top, len(stated) - 1)] if stated else None


def order_of(layer: LayerParameter) -> Order:
    """Return the order in which a layer reads its records."""
    images, file = layer.image_data_param, layer.hdf5_data_param
    if layer.type == "Data":
        return Order.RANDOM if layer.data_param.rand_skip > 1 else Order.KEYS
    if layer.type == "ImageData":
        return Order.RANDOM if images.shuffle or images.rand_skip > 1 else Order.LIST
    if layer.type == "HDF5Data":
        return Order.RANDOM if file.shuffle else Order.LIST
    return Order.RANDOM if layer.type == "WindowData" else Order.PROGRAM


def split_named(path: str) -> Phase | None:
    """Return the split that a path names, in the last of its parts that names one; else None."""
    for part in reversed(path.lower().split("/")):
        named = {SPLITS[word] for word in re.findall(r"[a-z]+", part) if word in SPLITS}
        if named:
            return named.pop() if len(named) == 1 else None
    return None


def inspect_source(at: SourceLayer, content: str) -> Iterator[InspectionFinding]:
    """Judge where a layer's records come from; `content` is "images", or "labels of noun"."""
    layer, path = at.layer, source_of(at.layer)
    if layer.type == "DummyData":
        what = f"{content} made by fillers, the paper's are of photographs (section 5.1)"
        yield at.finding("type", what, InspectionVerdict.DIFFERS)
    elif not path:
        what = f"{content} come from a program ({layer.type[:60]} layer): which they are is not in"
        what += " this file"
        yield at.finding("type", what, InspectionVerdict.NOT_CHECKABLE)
    else:
        yield from _split(at, path, content)
    yield from _backend(at, path)
    yield from _ignored(at)


def _split(at: SourceLayer, path: str, content: str) -> Iterator[InspectionFinding]:
    named = split_named(path)
    if named is None:
        what = f"the name of {path} does not show that its {content} are those of {at.phase}"
        yield at.finding("source", what, InspectionVerdict.NOT_CHECKABLE)
    elif named != at.phase:
        what = f"{path} is read in {at.phase}, and its name says {named}: section 5.2 has images of"
        yield at.finding("source", what + " their own for each", InspectionVerdict.DIFFERS)


def _backend(at: SourceLayer, path: str) -> Iterator[InspectionFinding]:
    if at.layer.type != "Data":
        return
    names = set(re.findall("lmdb|leveldb", os.path.basename(path).lower()))
    backend = DataParameter.DB.Name(at.layer.data_param.backend)
    if len(names) == 1 and backend.lower() not in names:
        default = "" if at.layer.data_param.HasField("backend") else ", Caffe's default"
        what = f"backend {backend}{default}, but {path} is named for {names.pop().upper()}: Caffe"
        what += " would not find the records in it"
        yield at.finding("backend", what, InspectionVerdict.DIFFERS, Rule.CAFFE)


def _ignored(at: SourceLayer) -> Iterator[InspectionFinding]:
    """Report fields that have no effect, in the form in which they are written."""
    layer, name = at.layer, PARAMETERS.get(at.layer.type)
    param = getattr(layer, name) if name else layer.transform_param
    known = set(param.DESCRIPTOR.fields_by_name) if name else set()
    old = [field for field in SUPERSEDED if field in known and param.HasField(field)]
    if old:
        what = f"{listed(old)} in {name}: of no effect in a `layer`, where Caffe reads"
        yield at.finding(
            old[0], what + " transform_param", InspectionVerdict.EQUIVALENT, Rule.CAFFE
        )
    if layer.HasField("transform_param") and layer.type in TRANSFORMS_NOT:
        refused = layer.type == "HDF5Data"
        what = f"{layer.type} has no transformations: Caffe"
        what += " refuses the layer" if refused else " ignores transform_param"
        verdict = InspectionVerdict.DIFFERS if refused else InspectionVerdict.EQUIVALENT
        yield at.finding("transform_param", what, verdict, Rule.CAFFE)


def values_text(values: tuple[float, ...]) -> str:
    """Write numbers for a message: "104, 117, 123"; "none" where there are none."""
    return ", ".join(map(value_text, values)) or "none"
