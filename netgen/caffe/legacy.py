"""Upgrade older forms of Caffe's messages, as Caffe does when it loads a file.

Three forms are still common: `layers { type: CONVOLUTION blobs_lr: 1 }` of 2014 (V1), `input` and
`input_dim` at the top of deploy networks, and a solver's `solver_type`. Layers of 2013 (V0) are
refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from netgen.caffe import caffe_pb2

# V1's type names are today's names with underscores, except for these.
SPELLED = {
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN",
    "MVN": "MVN",
    "NONE": "",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
SOLVERS = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")  # by solver_type's numbers
# Fields of a V1 layer that today's field of the same name does not replace.
CONVERTED = {"type", "param", "blob_share_mode", "blobs_lr", "weight_decay"}
# The V1 fields that held what is in transform_param today.
DATA_PARAMS = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "WindowData": "window_data_param",
}
TRANSFORMATIONS = ("scale", "mean_file", "crop_size", "mirror")


def upgrade_net(net: caffe_pb2.NetParameter) -> None:
    """Upgrade a network in place: afterwards it has `layer` only.

    Raises
    ------
    ValueError
        For layers of 2013, for both `layer` and `layers`, and for inputs without shapes.
    """
    if any(layer.HasField("layer") for layer in net.layers):
        raise ValueError(
            "written for Caffe of 2013 (layers { layer { ... } }): "
            "run Caffe's upgrade_net_proto_text on it first"
        )
    if net.layers and net.layer:
        raise ValueError("has both `layer` and `layers`: change all to `layer`")
    net.layer.extend(_upgraded_layer(layer) for layer in net.layers)
    net.ClearField("layers")
    _upgrade_inputs(net)


def upgrade_solver(solver: caffe_pb2.SolverParameter) -> None:
    """Replace the enumeration `solver_type` by the string `type`, in place.

    Raises
    ------
    ValueError
        When both are given.
    """
    if not solver.HasField("solver_type"):
        return
    if solver.HasField("type"):
        raise ValueError("has both `type` and `solver_type`: keep `type`")
    solver.type = SOLVERS[solver.solver_type]
    solver.ClearField("solver_type")


def type_name(number: int) -> str:
    """Return today's name of a V1 layer type: 4 (CONVOLUTION) is "Convolution"."""
    name = caffe_pb2.V1LayerParameter.LayerType.Name(number)
    return SPELLED.get(name, "".join(word.capitalize() for word in name.split("_")))


def _upgraded_layer(old: caffe_pb2.V1LayerParameter) -> caffe_pb2.LayerParameter:
    new = caffe_pb2.LayerParameter()
    if old.HasField("type"):
        new.type = type_name(old.type)
    _upgrade_params(old, new)
    for field, value in old.ListFields():
        if field.name in CONVERTED:
            continue
        if field.is_repeated:
            getattr(new, field.name).extend(value)
        elif field.message_type:
            getattr(new, field.name).CopyFrom(value)
        else:
            setattr(new, field.name, value)
    _upgrade_transformation(new)
    return new


def _upgrade_params(old: caffe_pb2.V1LayerParameter, new: caffe_pb2.LayerParameter) -> None:
    """Convert V1's four lists, with one entry per blob, into one ParamSpec per blob."""
    lists: dict[str, Sequence[object]] = {
        "name": old.param,
        "share_mode": old.blob_share_mode,
        "lr_mult": old.blobs_lr,
        "decay_mult": old.weight_decay,
    }
    for _ in range(max(len(values) for values in lists.values())):
        new.param.add()
    for field, values in lists.items():
        for spec, value in zip(new.param, values, strict=False):
            setattr(spec, field, value)


def _upgrade_transformation(layer: caffe_pb2.LayerParameter) -> None:
    if layer.type not in DATA_PARAMS:
        return
    old = getattr(layer, DATA_PARAMS[layer.type])
    for field in TRANSFORMATIONS:
        if old.HasField(field):
            setattr(layer.transform_param, field, getattr(old, field))
            old.ClearField(field)


def _upgrade_inputs(net: caffe_pb2.NetParameter) -> None:
    """Convert `input` fields into an Input layer at the front; drop names without shapes."""
    if net.input_shape or net.input_dim:
        layers = list(net.layer)
        net.ClearField("layer")
        shapes = _input_shapes(net)
        net.layer.add(name="input", type="Input", top=net.input).input_param.shape.extend(shapes)
        net.layer.extend(layers)
    for field in ("input", "input_dim", "input_shape"):
        net.ClearField(field)


def _input_shapes(net: caffe_pb2.NetParameter) -> list[caffe_pb2.BlobShape]:
    dims, per = (net.input_shape, 1) if net.input_shape else (net.input_dim, 4)
    if len(dims) != per * len(net.input):
        raise ValueError(
            f"{len(net.input)} `input` but {len(net.input_shape)} `input_shape` and "
            f"{len(net.input_dim)} `input_dim`: give each input one shape, or four dimensions"
        )
    if net.input_shape:
        return list(net.input_shape)
    return [caffe_pb2.BlobShape(dim=net.input_dim[i : i + 4]) for i in range(0, len(dims), 4)]
