"""A small dataset, and networks that go beyond the paper."""

from __future__ import annotations

from typing import Any

from netgen import paper
from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.network.residual import Backbone, Stem
from support.networks import dataset, layers, order, text

TASKS = list(paper.TASKS)
CLASSES = {"noun": 7, "adj": 9, "anp": 11}
DATA = dataset(CLASSES, (3, 32, 32))
DEEPER = Backbone(width=4, blocks=(1, 1, 2, 3), stem=Stem.SMALL)


def built(variant: str = "xs", backbone: Backbone = DEEPER, **choices: Any) -> list[LayerParameter]:
    """The layers of a narrow network with these choices, as Caffe trains them."""
    return layers(text(order(variant, DATA, backbone, **choices), "train_val"), "TRAIN")
