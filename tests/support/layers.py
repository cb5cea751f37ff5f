"""Looking at the layers of a network."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import permutations

from netgen import paper
from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.network.build import paper_prototxt
from support.networks import MULTITASK, RESIDUAL, Kind, Phase, dataset, layers

TASKS = list(paper.TASKS)
PAIRS = list(permutations(TASKS, 2))
SINGLE = [variant for variant in RESIDUAL if variant not in MULTITASK]
EVERY_FILE: list[tuple[Kind, Phase]] = [
    ("train_val", "TRAIN"),
    ("train_val", "TEST"),
    ("deploy", "TEST"),
]


@cache
def built(variant: str, kind: Kind = "train_val", phase: Phase = "TRAIN") -> list[LayerParameter]:
    """The layers of one of the paper's networks, as Caffe builds them in a phase."""
    return layers(paper_prototxt(variant, kind), phase)


def of_type(kind: str, found: list[LayerParameter]) -> list[LayerParameter]:
    return [layer for layer in found if layer.type == kind]


def named(name: str, found: list[LayerParameter]) -> LayerParameter:
    [layer] = [layer for layer in found if layer.name == name]
    return layer


def names_are_unique(found: list[LayerParameter]) -> bool:
    return max(Counter(layer.name for layer in found).values()) == 1


def reads_before_made(found: list[LayerParameter]) -> list[tuple[str, str]]:
    made: set[str] = set()
    early = []
    for layer in found:
        early += [(layer.name, blob) for blob in layer.bottom if blob not in made]
        made.update(layer.top)
    return early


def made_twice(found: list[LayerParameter]) -> list[str]:
    """Blobs that a second layer makes again; layers that work in place do not."""
    makers = Counter(blob for layer in found for blob in set(layer.top) - set(layer.bottom))
    return [blob for blob, count in makers.items() if count > 1]


DATA = dataset({"noun": 7, "adj": 9, "anp": 11}, (3, 32, 32))
