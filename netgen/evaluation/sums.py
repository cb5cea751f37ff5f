"""How large what a task's blocks add is: the terms of equation (2), measured on test images.

A block of a task's tower adds its own shortcut, what its branch computes, and in a cross-residual
network the other tasks' shortcuts, weighted. Which term outgrows the others says why a network
breaks down.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netgen.caffe.schema import layers_in, read_net
from netgen.evaluation.deployed import DeployedError
from netgen.evaluation.results import SumScale
from netgen.evaluation.scoring import Squares

BRANCH = re.compile(r"res(?P<block>\d[a-z]+)_branch2c_(?P<task>[a-z][a-z0-9-]*)")
OWN = 2  # a block's first two terms: its own shortcut, and its branch


@dataclass(frozen=True)
class Sum:
    """A block's sum: its block and task, the blobs that it adds with their factors, and its own."""

    block: str
    task: str
    terms: tuple[str, ...]
    factors: tuple[float, ...]
    blob: str


def sums_of(file: Path) -> tuple[Sum, ...]:
    """Return the sums of the tasks' own blocks in a deploy prototxt, in its order.

    Raises
    ------
    DeployedError
        There are none: it is a network of one task.
    """
    found = []
    for layer in layers_in(read_net(file), "TEST"):
        terms = tuple(layer.bottom)
        if layer.type != "Eltwise" or len(terms) < OWN:
            continue
        if match := BRANCH.fullmatch(terms[1]):
            factors = tuple(layer.eltwise_param.coeff) or (1.0,) * len(terms)
            found.append(Sum(match["block"], match["task"], terms, factors, layer.top[0]))
    if not found:
        raise DeployedError(
            f"{file}: no blocks of the tasks' own in it, whose sums could be measured: omit --sums"
        )
    return tuple(found)


class SumMeter:
    """Adds up the squares of what a network's sums are made of, batch by batch."""

    def __init__(self, sums: tuple[Sum, ...]) -> None:
        self.sums, self.images = sums, 0
        self.total = dict.fromkeys(self.blobs, 0.0)

    @property
    def blobs(self) -> tuple[str, ...]:
        """The blobs to measure, each once."""
        return tuple(dict.fromkeys(blob for each in self.sums for blob in (*each.terms, each.blob)))

    def add(self, squares: Squares) -> None:
        """Add a batch."""
        self.images += len(squares[self.blobs[0]])
        for blob, values in squares.items():
            self.total[blob] += float(values.sum(dtype=np.float64))

    def scales(self) -> tuple[SumScale, ...]:
        """Return the root mean square of every term, over all images, channels and places."""
        return tuple(self._scale(each) for each in self.sums)

    def _scale(self, one: Sum) -> SumScale:
        def size(blob: str, factor: float = 1.0) -> float:
            return abs(factor) * float(np.sqrt(self.total[blob] / max(self.images, 1)))

        own, branch, *cross = map(size, one.terms, one.factors)
        return SumScale(one.block, one.task, own, branch, tuple(cross), size(one.blob))
