"""The blobs of each layer: from its origin, or drawn by Caffe's own fillers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf import text_format

from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from netgen.caffe.caffemodel import Weights
from netgen.caffe.child import call
from netgen.caffe.engine import EngineError
from netgen.weights.moved import folded, place_of
from netgen.weights.origins import Origin, Start
from netgen.weights.source import Source, SurgeryError
from netgen.weights.weighted_layers import Wanted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Blobs = tuple[NDArray[np.floating[Any]], ...]


def assemble(
    origins: Sequence[Origin], source: Source, drawn: Mapping[str, Blobs]
) -> Iterator[Weights]:
    """Yield each layer's weights, in single precision and in the network's shapes.

    `drawn` has those of the layers that start fresh.

    Raises
    ------
    SurgeryError
        A fold of layers that do not fit.
    """
    eps = _eps(origin.wanted for origin in origins if origin.start is Start.FOLDED)
    for origin in origins:
        wanted, names = origin.wanted, origin.sources
        if origin.start is Start.FRESH:
            blobs = drawn[wanted.name]
        elif origin.start is Start.FOLDED:
            blobs = folded(wanted, names, source, eps[place_of(wanted)])
        else:
            blobs = source.layers[names[0]].blobs
        yield Weights(wanted.name, wanted.type, _shaped(wanted, blobs))


def _eps(folded_layers: Iterable[Wanted]) -> dict[str, float]:
    """Return what the network's BatchNorm adds to a variance, by place; the file does not tell."""
    return {
        place_of(wanted): wanted.layer.batch_norm_param.eps
        for wanted in folded_layers
        if wanted.type == "BatchNorm"
    }


def _shaped(wanted: Wanted, blobs: Blobs) -> Blobs:
    """Give blobs the network's shapes: older files have four axes a blob."""
    try:
        return tuple(
            np.asarray(blob, np.float32).reshape(shape)
            for blob, shape in zip(blobs, wanted.blobs, strict=True)
        )
    except ValueError:
        raise SurgeryError(
            f"layer {wanted.name!r}: what was made for it is not of its shape"
        ) from None


# ---- layers that start anew, drawn by Caffe's own fillers: in a small network of just these layers

SILENCE = 300  # seconds: a filler takes one for a network of the paper's size
NOT_DRAWN = ("include", "exclude", "phase", "loss_weight", "propagate_down")


def draw(layers: Sequence[Wanted], seed: int) -> dict[str, tuple[Any, ...]]:
    """Return what Caffe's fillers give these layers: name to arrays of the blobs' shapes.

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


def _only(layers: Sequence[Wanted]) -> NetParameter:
    """Make a network of these layers alone, each fed with what it reads in shape."""
    net = NetParameter(name="fresh")
    for index, wanted in enumerate(layers):
        made = LayerParameter()
        made.CopyFrom(wanted.layer)
        for field in (*NOT_DRAWN, "bottom", "top"):
            made.ClearField(field)
        made.top.append(f"top{index}")
        for place, shape in enumerate(wanted.bottoms):
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
            f"what starts anew is drawn by Caffe, which this Python does not have ({error}):"
            " `./run setup` in netgen's folder builds it"
        ) from None
    params = caffe.get_solver(solver).net.params
    return {name: tuple(blob.data.copy() for blob in blobs) for name, blobs in params.items()}
