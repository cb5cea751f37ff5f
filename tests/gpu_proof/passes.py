"""One pass through a network, forward and backward, on a CPU or a GPU; a program of its own.

    python -m gpu_proof.passes NET WEIGHTS AFTER OUT --device {cpu,gpu} [--first] [--nudge]

NET has Input layers only, WEIGHTS is read, or with --first filled by the network's fillers and
written. AFTER are the weights with BatchNorm's averages after that pass: written with --first, else
read for the second pass, in phase TEST. OUT (.npz) gets every output of both, and every gradient.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import caffe
import numpy as np

SEED = 2016


def main() -> None:
    """Run both phases and write what they computed."""
    parser = argparse.ArgumentParser()
    for name in ("net", "weights", "after", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--device", choices=("cpu", "gpu"), required=True)
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--nudge", action="store_true", help="change each pixel's last bit")
    options = parser.parse_args()
    if options.device == "gpu":
        caffe.set_device(0)
        caffe.set_mode_gpu()
    else:
        caffe.set_mode_cpu()
    caffe.set_random_seed(SEED)
    net = caffe.Net(str(options.net), caffe.TRAIN)
    if options.first:
        net.save(str(options.weights))
    else:
        net.copy_from(str(options.weights))
    fill(net, options.nudge)
    started = time.monotonic()
    net.forward()
    net.backward()
    found = {f"output {name}": blob.data.copy() for name, blob in ends(net)}
    print(f"{time.monotonic() - started:.2f} s")
    types = dict(zip(net._layer_names, (layer.type for layer in net.layers), strict=True))
    for name, blobs in net.params.items():
        for number, blob in enumerate(blobs):
            if types[name] != "BatchNorm":  # its averages have none
                found[f"gradient {name} {number}"] = blob.diff.copy()
    if options.first:
        net.save(str(options.after))
    del net
    net = caffe.Net(str(options.net), caffe.TEST, weights=str(options.after))
    fill(net, options.nudge)
    net.forward()
    found |= {f"deployed {name}": blob.data.copy() for name, blob in ends(net)}
    np.savez(options.out, **found)


def ends(net: Any) -> list[tuple[str, Any]]:
    """Scores and losses."""
    return [(name, blob) for name, blob in net.blobs.items() if name.startswith(("fc", "loss"))]


def fill(net: Any, nudge: bool) -> None:
    """Give a network images as pixels less their mean, and labels."""
    rng = np.random.default_rng(SEED)
    for name in net.inputs or [blob for blob in net.blobs if blob.startswith(("data", "label"))]:
        data = net.blobs[name].data
        if name.startswith("label"):
            data[...] = rng.integers(0, 100, data.shape)
        else:
            data[...] = rng.normal(0, 50, data.shape)
            if nudge:
                data[...] = np.nextafter(data, np.float32(np.inf))


if __name__ == "__main__":
    main()
