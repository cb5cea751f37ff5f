"""Layers that start anew, drawn by Caffe's own fillers: in a small network of just these layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from google.protobuf import text_format

from netgen.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from netgen.child import call
from netgen.engine import EngineError
from netgen.surgery.network import Wanted

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
