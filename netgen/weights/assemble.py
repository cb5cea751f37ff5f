"""Make the blobs of each layer: from its origin, or from Caffe's own fillers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf import text_format

from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from netgen.caffe.caffemodel import Weights
from netgen.caffe.caffemodel_check import Caffemodel
from netgen.caffe.child import call
from netgen.caffe.engine import EngineError
from netgen.weights.moved import folded, place_of
from netgen.weights.origins import Origin, OriginKind
from netgen.weights.weighted_layers import WeightedLayer, WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Blobs = tuple[NDArray[np.floating[Any]], ...]


def assemble(
    origins: Sequence[Origin], source: Caffemodel, drawn: Mapping[str, Blobs]
) -> Iterator[Weights]:
    """Yield each layer's weights, in single precision and in the network's shapes.

    `drawn` has the blobs of the layers that start from their fillers.

    Raises
    ------
    WeightsError
        The source's layers cannot be folded, or do not fit.
    """
    eps = _eps(origin.layer for origin in origins if origin.start is OriginKind.FOLDED)
    for origin in origins:
        layer, names = origin.layer, origin.sources
        if origin.start is OriginKind.FRESH:
            blobs = drawn[layer.name]
        elif origin.start is OriginKind.FOLDED:
            blobs = folded(layer, names, source, eps[place_of(layer)])
        else:
            blobs = source.layers[names[0]].blobs
        yield Weights(layer.name, layer.type, _shaped(layer, blobs))


def _eps(folded_layers: Iterable[WeightedLayer]) -> dict[str, float]:
    """Return BatchNorm's eps by place; the prototxt has it, the caffemodel does not."""
    return {
        place_of(layer): layer.layer_param.batch_norm_param.eps
        for layer in folded_layers
        if layer.type == "BatchNorm"
    }


def _shaped(layer: WeightedLayer, blobs: Blobs) -> Blobs:
    """Return blobs in the network's shapes: older files have four axes per blob."""
    try:
        return tuple(
            np.asarray(blob, np.float32).reshape(shape)
            for blob, shape in zip(blobs, layer.blobs, strict=True)
        )
    except ValueError:
        raise WeightsError(
            f"layer {layer.name!r}: the blobs made for it do not have its shape"
        ) from None


# ---- layers that start from Caffe's own fillers: a small network of just these layers is built

SILENCE = 300  # seconds; the fillers of a network of the paper's size take one
NOT_DRAWN = ("include", "exclude", "phase", "loss_weight", "propagate_down")


def draw(layers: Sequence[WeightedLayer], seed: int) -> dict[str, tuple[Any, ...]]:
    """Return the blobs that Caffe's fillers give these layers, by name.

    The same seed gives the same numbers for the same layers in the same order.

    Raises
    ------
    EngineError
        Caffe is missing, or refuses a layer.
    """
    if not layers:
        return {}
    with TemporaryDirectory(prefix="netgen-") as folder:
        net, solver = Path(folder) / "net.prototxt", Path(folder) / "solver.prototxt"
        net.write_text(text_format.MessageToString(_only(layers)))
        # A solver, because it alone takes a seed in every Caffe since 2016.
        once = SolverParameter(
            net=str(net),
            random_seed=seed,
            solver_mode=SolverParameter.CPU,
            lr_policy="fixed",
            snapshot_after_train=False,
        )
        solver.write_text(text_format.MessageToString(once))
        drawn: dict[str, tuple[Any, ...]] = call(_draw, str(solver), silence=SILENCE)
    return {layer.name: drawn[layer.name] for layer in layers}


def _only(layers: Sequence[WeightedLayer]) -> NetParameter:
    """Return a network of these layers alone, each with inputs of the shapes that it reads."""
    net = NetParameter(name="fresh")
    for index, layer in enumerate(layers):
        made = LayerParameter()
        made.CopyFrom(layer.layer_param)
        for field in (*NOT_DRAWN, "bottom", "top"):
            made.ClearField(field)
        made.top.append(f"top{index}")
        for place, shape in enumerate(layer.bottoms):
            blob = f"bottom{index}_{place}"
            net.layer.add(name=blob, type="Input", top=[blob]).input_param.shape.add(
                dim=[1, *shape[1:]]
            )
            made.bottom.append(blob)
        net.layer.append(made)
    return net


def _draw(solver: str) -> dict[str, tuple[Any, ...]]:
    try:
        import caffe
    except ImportError as error:
        raise EngineError(
            f"new layers are drawn by Caffe, which this Python does not have ({error}):"
            " `./run setup` in netgen's folder builds it"
        ) from None
    params = caffe.get_solver(solver).net.params
    return {name: tuple(blob.data.copy() for blob in blobs) for name, blobs in params.items()}
