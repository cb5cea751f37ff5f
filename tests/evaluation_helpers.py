"""Networks with random weights, for tests that need a network and no skill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from helpers import order

from netgen.caffe.caffemodel import Weights, to_caffemodel
from netgen.caffe.schema import read_net
from netgen.cost.complexity import count
from netgen.network.build import network_files
from netgen.network.dataset import Dataset
from netgen.system.files import write_all


def random_network(variant: str, data: Dataset, folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Write a narrow network for `data` and random weights; return both files."""
    ordered = order(variant, data, out=folder)
    write_all(network_files(ordered))
    network = ordered.folder / "deploy.prototxt"
    rng = np.random.default_rng(seed)
    layers = []
    for layer in count(read_net(network), "TEST").layers:
        blobs = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in layer.blobs]
        if layer.type == "BatchNorm":  # means, variances, and how many there were
            blobs = [blobs[0], 1 + abs(blobs[1]), np.ones(1, np.float32)]
        if blobs:
            layers.append(Weights(layer.name, layer.type, tuple(blobs)))
    weights = folder / f"{variant}.caffemodel"
    weights.write_bytes(to_caffemodel(variant, layers))
    return network, weights
