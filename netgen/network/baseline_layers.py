"""The layers of the baselines, with their names, sizes and initial weights.

All of them are trained as in Caffe's own models: biases at twice the rate of weights, no decay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from netgen.network.blocks import Size
from netgen.network.dataset import Dataset
from netgen.network.residual import top_k
from netgen.network.variants import UnsuitedError, Variant

Shape = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True)
class Fillers:
    """How a layer starts from nothing: Caffe's filler of its weights, and its biases."""

    filler: str
    std: float | None = None
    bias: float = 0.0


@dataclass(frozen=True)
class Conv:
    """A convolution with a bias, then a ReLU in place."""

    name: str
    bottom: str
    relu: str
    num_output: int
    kernel_size: int
    start: Fillers
    stride: int = 1
    pad: int = 0
    group: int = 1


@dataclass(frozen=True)
class Pool:
    """A pool; the last window may overhang, as Caffe rounds up."""

    name: str
    bottom: str
    kernel_size: int
    stride: int


@dataclass(frozen=True)
class Full:
    """A fully connected layer, then a ReLU and a dropout in place."""

    name: str
    bottom: str
    relu: str
    dropout: str
    ratio: float
    num_output: int
    start: Fillers


@dataclass(frozen=True)
class Classifier:
    """A task's classifier, which makes the blob ``fc_<task>``, and its accuracies."""

    name: str
    task: str
    classes: int
    bottom: str
    top_k: tuple[int, ...]


@dataclass(frozen=True)
class WidthScale:
    """How wide a network is built: `width` filters in its first convolution instead of `own`."""

    width: int
    own: int

    def of(self, number: int) -> int:
        """Return a layer's width: even, for convolutions in two groups, and at least 2."""
        return max(2, 2 * round(number * self.width / self.own / 2))


def classifier(variant: Variant, dataset: Dataset, bottom: str) -> Classifier:
    """Return the classifier of the one task that a baseline solves."""
    (task,) = variant.tasks
    outputs = variant.row.outputs
    if outputs:  # its own classifier, under the name in its caffemodel
        return Classifier("fc8-t", task, outputs, bottom, top_k(outputs))
    classes = dataset.task(task).classes
    return Classifier(f"fc_{task}", task, classes, bottom, top_k(classes))


def convolved(size: Size, conv: Conv) -> Size:
    """Return the size after a convolution.

    Raises
    ------
    UnsuitedError
        The kernel is larger than the padded image.
    """
    room = [side + 2 * conv.pad - conv.kernel_size for side in size]
    _check_room(min(room) >= 0, size, conv.name)
    return (room[0] // conv.stride + 1, room[1] // conv.stride + 1)


def pooled(size: Size, pool: Pool) -> Size:
    """Return the size after a pool; raises as `convolved`."""
    room = [side - pool.kernel_size for side in size]
    _check_room(min(room) >= 0, size, pool.name)  # less, and readers of Caffe's files disagree
    height, width = (math.ceil(side / pool.stride) + 1 for side in room)
    return (height, width)


def _check_room(fits: bool, size: Size, layer: str) -> None:
    if not fits:
        raise UnsuitedError(
            f"the dataset's images are too small: {size[0]} x {size[1]} of them is left for"
            f" {layer}: scale them up"
        )
