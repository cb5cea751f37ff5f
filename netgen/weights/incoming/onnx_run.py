"""Run an ONNX file by onnxruntime as far as the stages of a residual network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from netgen.weights.incoming.onnx_graph import OnnxGraph
from netgen.weights.incoming.units import Array, Run


def runner(model: onnx.ModelProto, graph: OnnxGraph, stages: Mapping[str, str]) -> Run:
    """Return what runs the file by onnxruntime, as far as its stages."""

    def run(images: NDArray[np.float32]) -> dict[str, Array]:
        import onnxruntime

        fed = images.transpose(0, 2, 3, 1) if graph.channels_last else images
        wanted = dict(stages)
        if not _takes(model, graph, fed.shape):
            wanted.pop("pool5", None)  # whose window is of one size
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # fatal: its errors say what it would log
        session = onnxruntime.InferenceSession(
            _as_far_as(wanted.values(), model, graph), options, providers=["CPUExecutionProvider"]
        )
        kind = np.float16 if "float16" in session.get_inputs()[0].type else np.float32
        batches = [
            session.run(list(wanted.values()), {graph.input: fed[place : place + 1].astype(kind)})
            for place in range(len(fed))
        ]
        return {
            name: np.concatenate([np.asarray(batch[index], np.float32) for batch in batches])
            for index, name in enumerate(wanted)
        }

    return run


def _takes(model: onnx.ModelProto, graph: OnnxGraph, shape: Sequence[int]) -> bool:
    """Return whether the file's input has these sizes, or leaves them open."""
    dims = next(x.type.tensor_type.shape.dim for x in model.graph.input if x.name == graph.input)
    sizes = zip(dims[1:], shape[1:], strict=False)  # none where it leaves even their count open
    return all(dim.dim_value in (0, size) for dim, size in sizes)


def _as_far_as(tensors: Iterable[str], model: onnx.ModelProto, graph: OnnxGraph) -> bytes:
    """Return the file with these tensors as its outputs, for images of any size."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.output[:], cut.graph.value_info[:]
    for tensor in dict.fromkeys(tensors):
        cut.graph.output.add(name=tensor)
    needed = {each.name for each in cut.graph.output}
    for place in reversed(range(len(cut.graph.node))):
        node = cut.graph.node[place]
        if needed.isdisjoint(node.output):
            del cut.graph.node[place]
        else:
            needed.update(node.input)
    for fed in cut.graph.input:
        if fed.name == graph.input:
            for place, dim in enumerate(fed.type.tensor_type.shape.dim):
                dim.dim_param = f"axis{place}"
    content: bytes = cut.SerializeToString()
    return content
