"""One spelling for what a layer computes: what is special about each type of layer.

`netgen.audit.comparison.traits` reads a layer's fields; the function of its type then changes what
Caffe lets one write in several ways, and names another type where that layer does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isclose, prod

from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.caffe.schema import Phase
from netgen.cost.layers.layer_types import Shape, ShapeError
from netgen.cost.layers.windows import convolution_windows

Value = bool | int | float | str | tuple[object, ...] | None
Fields = dict[str, Value]
WINDOWS = ("kernel_size", "stride", "pad", "dilation")
WINDOW_FIELDS = {f"{name}{axis}" for name in WINDOWS for axis in ("", "_h", "_w")} | {
    "kernel_h",
    "kernel_w",
}
WHOLE_IMAGE: Fields = {"global_pooling": False, "round_mode": "CEIL"}  # where a window is all of it
TYPE = "type"  # a field in the making: the layer's type, where another one does the same


def _convolution(layer: LayerParameter, phase: Phase, bottom: Shape | None, fields: Fields) -> None:
    _deconvolution(layer, phase, bottom, fields)
    if bottom and len(bottom) > 2 and "kernel_size" in fields:
        _convolution_as_other(bottom, fields)


def _deconvolution(
    layer: LayerParameter, phase: Phase, bottom: Shape | None, fields: Fields
) -> None:
    axes = len(bottom) - 2 if bottom else 2
    _drop(fields, WINDOW_FIELDS)
    try:
        windows = convolution_windows(layer.convolution_param, axes)
    except ShapeError:  # Caffe would refuse it, which counting has reported
        windows = []
    if windows:
        names = ("kernel", "stride", "pad", "dilation")
        columns = [tuple(getattr(window, name) for window in windows) for name in names]
        fields |= dict(zip(WINDOWS, columns, strict=True))
    _bias_filler(fields)


def _convolution_as_other(bottom: Shape, fields: Fields) -> None:
    """Turn a convolution over the whole image, or of each pixel of a channel, into what it is."""
    ones = (1,) * len(bottom[2:])
    sizes = zip(_sizes(fields, "kernel_size"), _sizes(fields, "dilation"), strict=True)
    fields["dilation"] = tuple(1 if kernel == 1 else dilation for kernel, dilation in sizes)
    plain = (fields["pad"], fields["dilation"]) == (tuple(0 for _ in ones), ones)
    whole = plain and fields["group"] == 1 and fields["kernel_size"] == bottom[2:]
    pixels = plain and fields["kernel_size"] == fields["stride"] == ones
    if whole and fields.get("axis", 1) == 1:
        _become(fields, "InnerProduct", {"axis": 1, "transpose": False})
    elif pixels and fields["group"] == fields["num_output"] == bottom[1] > 1:
        fields["filler"] = fields.pop("weight_filler")
        del fields["num_output"]
        _become(fields, "Scale", {"axis": 1, "num_axes": 1})


def _become(fields: Fields, kind: str, others: Mapping[str, Value]) -> None:
    _drop(fields, {*WINDOWS, "group", "axis"})
    fields |= {TYPE: kind, **others}


def _sizes(fields: Mapping[str, Value], name: str) -> tuple[object, ...]:
    sizes = fields[name]
    return sizes if isinstance(sizes, tuple) else (sizes,)


def _pooling(layer: LayerParameter, phase: Phase, bottom: Shape | None, fields: Fields) -> None:
    param = layer.pooling_param
    _drop(fields, WINDOW_FIELDS)
    pairs: Fields = {
        name: (getattr(param, f"{short}_h"), getattr(param, f"{short}_w"))
        if param.HasField(f"{short}_h")
        else (getattr(param, name),) * 2
        for name, short in (("kernel_size", "kernel"), ("stride", "stride"), ("pad", "pad"))
    }
    whole = bottom is not None and pairs["kernel_size"] == bottom[2:]
    if bottom and (param.global_pooling or (whole and pairs["pad"] == (0, 0))):
        pairs = {"kernel_size": bottom[2:], "stride": (1, 1), "pad": (0, 0)}
        fields |= WHOLE_IMAGE
    fields |= pairs


def _reduction(layer: LayerParameter, phase: Phase, bottom: Shape | None, fields: Fields) -> None:
    """Turn the mean over an image into the average pooling that it is."""
    param = layer.reduction_param
    if bottom is None or len(bottom) < 3 or fields["axis"] != 2:
        return
    pixels = prod(bottom[2:])
    mean = param.operation == param.MEAN and param.coeff == 1
    if mean or (param.operation == param.SUM and isclose(param.coeff * pixels, 1, rel_tol=1e-5)):
        whole = {"kernel_size": bottom[2:], "stride": (1, 1), "pad": (0, 0)}
        fields.clear()
        fields |= {TYPE: "Pooling", "pool": "AVE", **WHOLE_IMAGE, **whole}


def _dropout(layer: LayerParameter, phase: Phase, bottom: Shape | None, fields: Fields) -> None:
    if phase == "TEST":
        fields["dropout_ratio"] = 0.0


def _join(layer: LayerParameter, phase: Phase, bottom: Shape | None, fields: Fields) -> None:
    old = "concat_dim" if layer.type == "Concat" else "slice_dim"
    param = layer.concat_param if layer.type == "Concat" else layer.slice_param
    value = fields.pop(old)
    if param.HasField(old):
        fields["axis"] = value


def _batch_norm(layer: LayerParameter, phase: Phase, bottom: Shape | None, fields: Fields) -> None:
    if fields["use_global_stats"] is None:
        fields["use_global_stats"] = phase == "TEST"
    if phase == "TEST":
        del fields["moving_average_fraction"]


def _scale(layer: LayerParameter, phase: Phase, bottom: Shape | None, fields: Fields) -> None:
    if not layer.scale_param.HasField("filler"):
        fields["filler"] = "constant 1"
    _bias_filler(fields)


def _eltwise(layer: LayerParameter, phase: Phase, bottom: Shape | None, fields: Fields) -> None:
    del fields["coeff"]  # they belong to the bottoms
    fields["bottoms"] = len(layer.bottom)


def _inner_product(
    layer: LayerParameter, phase: Phase, bottom: Shape | None, fields: Fields
) -> None:
    _bias_filler(fields)


def _loss(layer: LayerParameter, phase: Phase, bottom: Shape | None, fields: Fields) -> None:
    # One label per image: dividing by labels, valid labels or images is the same.
    param = layer.loss_param
    fields["normalization"] = "NONE" if param.normalization == param.NONE else "by images"
    ignores = param.HasField("ignore_label") and param.ignore_label >= 0  # as no label is
    fields["ignore_label"] = param.ignore_label if ignores else None


def _bias_filler(fields: Fields) -> None:
    if not fields["bias_term"]:
        del fields["bias_filler"]


def _drop(fields: Fields, names: set[str]) -> None:
    for name in names & fields.keys():
        del fields[name]


SPECIAL: dict[str, Callable[[LayerParameter, Phase, Shape | None, Fields], None]] = {
    "BatchNorm": _batch_norm,
    "Concat": _join,
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
    "Dropout": _dropout,
    "Eltwise": _eltwise,
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
    "Reduction": _reduction,
    "Scale": _scale,
    "Slice": _join,
    "SoftmaxWithLoss": _loss,
}
