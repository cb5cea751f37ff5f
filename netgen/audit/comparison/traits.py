"""The traits of a layer, in one normal form: layers with the same traits compute the same.

Caffe has several forms for the same function: defaults written out or not, `kernel_size: 3` or
`kernel_h` and `kernel_w`, an average over the whole image as `global_pooling` or as a kernel of its
size. Here they become one. Fields that affect only speed or memory (engines, prefetching) are
omitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from netgen.audit.comparison.spellings import SPECIAL, TYPE, Value
from netgen.caffe.caffe_pb2 import TRAIN, FillerParameter, LayerParameter, ParamSpec
from netgen.caffe.schema import Phase
from netgen.cost.layers.layer_types import Shape
from netgen.cost.wiring import loss_weight

# The field with a type's parameters, as inner_product_param of InnerProduct; and the exceptions.
MESSAGES = {
    name.replace("_", "").removesuffix("param"): name
    for name in LayerParameter.DESCRIPTOR.fields_by_name
    if name.endswith("_param")
} | {"deconvolution": "convolution_param", "softmaxwithloss": "softmax_param"}
# No effect on what is computed.
NO_EFFECT = {"engine", "force_nd_im2col", "stable_prod_grad", "debug_info"}
AXES = ("axis", "end_axis", "label_axis")
# These concern how a network learns or starts, not what it computes once it has weights.
LEARNING = {
    "lr_mult", "decay_mult", "moving_average_fraction", "loss_weight", "propagate_down",
    "param.name",
}  # fmt: skip


@dataclass(frozen=True)
class Traits:
    """What a layer computes, and how it learns: field to value, the same for the same effect.

    `type` is that of the layer that does it in the paper's networks: a convolution over the whole
    image, for example, is an InnerProduct.
    """

    type: str
    computes: Mapping[str, Value]
    learns: Mapping[str, Value]


def traits_of(layer: LayerParameter, phase: Phase, bottom: Shape | None) -> Traits:
    """Return the traits of a layer.

    Parameters
    ----------
    layer
        A layer of an upgraded network.
    phase
        The phase of its network, unless it has one of its own: in TRAIN, BatchNorm uses the
        batch's statistics.
    bottom
        The shape of its first bottom, where that is known.
    """
    if layer.HasField("phase"):  # Caffe gives a layer its network's only where it has none
        phase = "TRAIN" if layer.phase == TRAIN else "TEST"
    return _traits(layer.SerializeToString(), phase, bottom)


@cache
def _traits(serialized: bytes, phase: Phase, bottom: Shape | None) -> Traits:
    """Find the traits of a layer; the paper's networks, in all readings, share most layers."""
    layer = LayerParameter.FromString(serialized)
    fields = _fields(layer)
    _resolve_axes(fields, bottom)
    special = SPECIAL.get(layer.type)
    if special:
        special(layer, phase, bottom, fields)
    kind = str(fields.pop(TYPE, layer.type))
    fields |= _learning(layer, _blobs(layer, fields))
    learns = {name for name in fields if name in LEARNING or name.endswith("filler")}
    return Traits(
        kind,
        {name: value for name, value in fields.items() if name not in learns},
        {name: fields[name] for name in fields if name in learns},
    )


def _fields(layer: LayerParameter) -> dict[str, Value]:
    """Read the message that belongs to the layer's type, defaults filled in."""
    if layer.type.lower() not in MESSAGES:
        return _foreign(layer)
    message = getattr(layer, MESSAGES[layer.type.lower()])
    return {
        field.name: _value(message, field)
        for field in message.DESCRIPTOR.fields
        if field.name not in NO_EFFECT
    }


def _resolve_axes(fields: dict[str, Value], bottom: Shape | None) -> None:
    """Count axes from the front, and give them one name."""
    for name in AXES:
        axis = fields.get(name)
        if bottom and isinstance(axis, int) and axis < 0:
            fields[name] = len(bottom) + axis


def _foreign(layer: LayerParameter) -> dict[str, Value]:
    """Read what is set in a layer whose type has no message of its own, known or not."""
    return {
        field.name: str(message).strip()
        for field, message in layer.ListFields()
        if field.name.endswith("_param")
    }


def _value(message: Any, field: FieldDescriptor) -> Value:
    value = getattr(message, field.name)
    if field.message_type:
        return _filler(value) if field.message_type.name == "FillerParameter" else str(value)
    if field.is_repeated:
        return tuple(value)
    if field.enum_type:
        return str(field.enum_type.values_by_number[value].name)
    if not (field.has_default_value or message.HasField(field.name)):
        return None
    plain: Value = value
    return plain


def _filler(filler: FillerParameter) -> str:
    """Describe a blob's filler by the fields that its type reads."""
    kind = filler.type
    if kind in ("msra", "xavier"):
        return f"{kind}, {FillerParameter.VarianceNorm.Name(filler.variance_norm)}"
    values = {
        "constant": f" {filler.value:g}",
        "gaussian": f", mean {filler.mean:g}, std {filler.std:g}",
        "uniform": f", {filler.min:g} to {filler.max:g}",
    }
    return kind + values.get(kind, "")


def _learning(layer: LayerParameter, blobs: int) -> dict[str, Value]:
    """Read the rates of a layer's blobs, and the weights of its tops in the objective."""
    specs = [*layer.param[:blobs], *[ParamSpec()] * (blobs - len(layer.param))]
    fields: dict[str, Value] = {}
    if blobs:
        fields["lr_mult"] = tuple(spec.lr_mult for spec in specs)
        fields["decay_mult"] = tuple(spec.decay_mult if spec.lr_mult else 0.0 for spec in specs)
    shared = tuple(spec.name for spec in layer.param if spec.name)
    if shared:
        fields["param.name"] = shared
    weights = [loss_weight(layer, index) for index in range(max(1, len(layer.top)))]
    while len(weights) > 1 and not weights[-1]:
        weights.pop()
    if any(weights) or layer.loss_weight:
        fields["loss_weight"] = tuple(weights)
    if not all(layer.propagate_down):
        fields["propagate_down"] = tuple(layer.propagate_down)
    return fields


def _blobs(layer: LayerParameter, fields: Mapping[str, Value]) -> int:
    """Count the parameter blobs of the types that residual networks are made of."""
    if layer.type == "BatchNorm":
        return 3
    if layer.type == "Scale":
        return (len(layer.bottom) == 1) + bool(fields["bias_term"])
    if layer.type in ("Convolution", "Deconvolution", "InnerProduct"):
        return 1 + bool(fields["bias_term"])
    return len(layer.param)
