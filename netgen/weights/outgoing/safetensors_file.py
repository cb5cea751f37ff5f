"""Write a network's weights as safetensors, under Caffe's names: ``conv1/0``, ``conv1/1``, ..."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netgen.caffe.caffemodel_check import check_weights
from netgen.caffe.schema import read_net
from netgen.cost.complexity import count
from netgen.network.description import Description
from netgen.weights.outgoing.about import metadata


def safetensors(network: Path, weights: Path, description: Description | None) -> bytes:
    """Return the blobs of every layer of a deploy network, each in its shape, in single precision.

    The metadata are those of an ONNX file for programs without netgen.

    Raises
    ------
    ValueError
        The network or the weights cannot be read, or do not belong together.
    """
    from safetensors.numpy import save

    net = read_net(network)
    cost = count(net, "TEST")
    needed = {layer.name: layer.blobs for layer in cost.layers if layer.blobs}
    found = check_weights(weights, network, needed)
    blobs = {
        f"{name}/{index}": np.ascontiguousarray(blob.reshape(shape), np.float32)
        for name, shapes in needed.items()
        for index, (blob, shape) in enumerate(zip(found.layers[name].blobs, shapes, strict=True))
    }
    about = metadata(description, net, cost)
    # One entry: safetensors writes several in any order, and the same weights give the same file.
    content: bytes = save(blobs, {"netgen": about["netgen"]} if "netgen" in about else about)
    return content
