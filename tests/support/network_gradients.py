"""Small networks for each row of Table 2, and a check of their gradients by finite differences."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.schema import layers_in, parse_net
from netgen.network.build import BuildSpec
from netgen.network.residual import Backbone, Stem
from netgen.paper import DEEPSENTIBANK_PAIRS
from support.engine_suites import Built
from support.networks import NARROW, dataset, order, text

CLASSES = {"noun": 7, "adj": 4, "anp": 9}
BATCH, SAMPLES = 3, 2
SMALL, LARGE = dataset(CLASSES, (3, 16, 24)), dataset(CLASSES, (3, 64, 64))
# He's stem, whose pool and strides no small stem has.
STEM = Backbone(width=4, blocks=(1, 2, 1, 3), stem=Stem.IMAGENET)
NETWORKS: dict[str, BuildSpec] = {
    **{name: order(name, SMALL, NARROW) for name in ("x0", "x1")},
    "xs": order("xs", dataset(CLASSES, (3, 33, 65)), STEM),
    **{f"resnet50-{task}": order(f"resnet50-{task}", SMALL, NARROW) for task in CLASSES},
    **{
        f"{name}-{task}": order(f"{name}-{task}", LARGE, Backbone(width=8))
        for name in ("caffenet", "inception-v1", "vgg16")
        for task in CLASSES
    },
    # CaffeNet with other outputs; Table 2's own is no network to train.
    "deepsentibank": order(
        "caffenet-anp", dataset({"anp": DEEPSENTIBANK_PAIRS}, (3, 64, 64)), Backbone(width=8)
    ),
}


@dataclass(frozen=True)
class Checked:
    """What check_gradients printed of a network; errors are relative to a blob's gradient."""

    loss: float
    blobs: dict[str, dict[str, Any]]
    batchnorms: dict[str, dict[str, float]]

    @property
    def wrong(self) -> dict[str, float]:
        """The blobs whose gradient is wrong, with their errors."""
        return {name: b["worst"] for name, b in self.blobs.items() if not b["right"]}

    @property
    def kinks(self) -> float:
        """The share of differences that were taken again, as a kink may lie within the step."""
        return total(self.blobs, "kinks") / total(self.blobs, "checked")


def total(blobs: Mapping[str, Mapping[str, Any]], count: str) -> int:
    return sum(blob[count] for blob in blobs.values())


def fed(name: str) -> NetParameter:
    """A network as it is trained, with `Input` layers instead of databases."""
    ordered = NETWORKS[name]
    net = parse_net(text(ordered, "train_val"))
    layers = layers_in(net, "TRAIN")
    del net.layer[:]
    images = ordered.dataset.images
    for layer in layers:
        kept = net.layer.add()
        if layer.type == "Data":
            is_image = layer.top[0] == "data"
            size = (images.channels, images.height, images.width) if is_image else (1, 1, 1)
            kept.MergeFrom(LayerParameter(name=layer.name, type="Input", top=layer.top))
            kept.input_param.shape.add(dim=[BATCH, *size])
        else:
            kept.CopyFrom(layer)
        if "data" in layer.bottom:
            kept.propagate_down.append(True)  # so that the images have a gradient
    return net


def check_network(built: Built, name: str, folder: Path) -> Checked:
    """Check the gradients of one of `NETWORKS`."""
    tasks = NETWORKS[name].dataset.tasks
    return check(built, fed(name), {task.name: task.classes for task in tasks}, folder)


def check(built: Built, net: NetParameter, classes: Mapping[str, int], folder: Path) -> Checked:
    """Check the gradients of a network with `Input` layers; labels are ``label_<task>``."""
    file = folder / "net.prototxt"
    file.write_text(str(net), encoding="utf-8")
    labels = [f"label_{task}={count}" for task, count in classes.items()]
    run = subprocess.run(
        [built.folder / "bin/check_gradients", file, "1", str(SAMPLES), *labels],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert run.returncode in (0, 1), run.stderr[-2000:]
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    return Checked(
        lines[0]["loss"],
        {line.pop("blob"): line for line in lines if "blob" in line},
        {line.pop("batchnorm"): line for line in lines if "batchnorm" in line},
    )
