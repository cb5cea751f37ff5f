"""A residual variant and a dataset -> stem, blocks and classifier heads.

Layer names are those of He's ResNet-50, because Caffe copies weights by name; a task is a suffix
(``res5b_branch2a_noun``), a cross weight is named source then target (``cross5b_adj_noun``). The
text formats are in the templates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from string import ascii_lowercase

from netgen.network.blocks import Block, ConvUnit, Norm, Place, Size, bottleneck
from netgen.network.crossing import check_options, cross_residual, crossed_places
from netgen.network.dataset import Dataset, Images
from netgen.network.options import (
    Branch,
    BranchStage,
    Conv1,
    Conv1Bias,
    MovedNorm,
    Pool1,
    ProjectionReLU,
    Stride,
    Towers,
)
from netgen.network.variants import NetworkRow, Variant


class Stem(Enum):
    """What comes before the residual blocks."""

    IMAGENET = "imagenet"  # Table 1: 7 x 7 convolution, stride 2; 3 x 3 max pool, stride 2
    SMALL = "small"  # beyond the paper, for images of 32 pixels or so: 3 x 3, stride 1, no pool


@dataclass(frozen=True)
class Backbone:
    """The residual network that a variant is made from; the default is ResNet-50 (Table 1).

    `width` is the first stage's bottleneck width (each stage doubles it), `blocks` the number of
    blocks in each stage, `conv1` the filters of the first convolution; None is the width.
    """

    width: int = 64
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    stem: Stem = Stem.IMAGENET
    conv1: int | None = None


RESNET50 = Backbone()


def requested_backbone(
    width: tuple[int, ...] | None, blocks: tuple[int, ...], stem: Stem
) -> Backbone | None:
    """Return a backbone as it is asked for; None for the network's own.

    `width` is one width, or that of the first convolution and that of the stages; None is
    ResNet-50's.
    """
    conv1, stages = (width or (RESNET50.width,))[0], (width or (RESNET50.width,))[-1]
    requested = Backbone(stages, blocks, stem, None if conv1 == stages else conv1)
    return None if width is None and requested == RESNET50 else requested


WINDOWS = {  # of the first pool, as prototxt
    Pool1.OVERHANGING: "kernel_size: 3 stride: 2",
    Pool1.PADDED: "kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR",
}


@dataclass(frozen=True)
class TaskNorm:
    """What moved outside the branching block: one normalisation and ReLU per task (section 4)."""

    name: str
    bottom: str
    norm: Norm
    relu: str


@dataclass(frozen=True)
class ClassifierHead:
    """Average pool, classifier, loss and accuracies of one task."""

    task: str
    classes: int
    bottom: str
    pool: str
    kernel: Size
    top_k: tuple[int, ...]


@dataclass(frozen=True)
class ResidualNetwork:
    """A whole network, from the images to the heads, in the order in which Caffe runs it."""

    variant: Variant
    images: Images
    conv1: ConvUnit
    pool1: str | None
    pool1_window: str
    trunk: tuple[Block, ...]
    branching: tuple[TaskNorm, ...]
    towers: tuple[Block, ...]
    heads: tuple[ClassifierHead, ...]
    auxiliary: tuple[()] = ()  # no heads that only train

    @property
    def is_frozen(self) -> bool:
        """Whether only classifiers and cross and self weights are trained (section 6)."""
        return self.variant.row.towers is Towers.FROZEN


def network(variant: Variant, dataset: Dataset, backbone: Backbone = RESNET50) -> ResidualNetwork:
    """Return the network of `variant` for the images and tasks of `dataset`.

    Raises
    ------
    UnsuitedError
        The fields of the variant's row contradict each other.
    ValueError
        The backbone leaves the tasks no block of their own, or none that is crossed, or has more
        blocks in a stage than letters can name.
    """
    shared, own = _part(_places(backbone, variant.row), variant.row)
    check_options(variant, own)
    crossed = crossed_places(own, variant.row)
    conv1, pool1, size = _stem(backbone, dataset.images, variant.row)

    trunk = []
    bottom = pool1 or conv1.name
    for place in shared:
        size = _reduced(size, place.stride)
        trunk.append(bottleneck(place, bottom, size))
        bottom = trunk[-1].name

    trunk[-1], branching = _move_norm(trunk[-1], variant.row.moved_norm, variant.tasks)
    bottoms = [norm.name for norm in branching] or [bottom] * len(variant.tasks)

    towers = []
    for place in own:
        size = _reduced(size, place.stride)
        level = [
            bottleneck(place, bottom, size, task)
            for task, bottom in zip(variant.tasks, bottoms, strict=True)
        ]
        if place in crossed:
            level = cross_residual(level, place.name, variant.row)
        bottoms = [block.name for block in level]
        towers += level

    heads = tuple(
        _head(task, dataset, bottom, size, f"pool5_{task}" if towers else "pool5")
        for task, bottom in zip(variant.tasks, bottoms, strict=True)
    )
    return ResidualNetwork(
        variant, dataset.images, conv1, pool1, WINDOWS[variant.row.pool1],
        tuple(trunk), branching, tuple(towers), heads,
    )  # fmt: skip


def _places(backbone: Backbone, row: NetworkRow) -> list[Place]:
    if max(backbone.blocks) > len(ascii_lowercase):
        raise ValueError(f"{max(backbone.blocks)} blocks in a stage: at most 26 have a letter")
    return [
        Place(
            name=f"{stage}{letter}",
            width=backbone.width * 2 ** (stage - 2),
            # Table 1: "stride 2 after stacked residual blocks", so in the first block of a stage.
            stride=2 if letter == "a" and stage > 2 else 1,
            projected=letter == "a",
            strided_3x3=row.stride is Stride.IN_3X3,
            rectified=row.projection_relu is ProjectionReLU.YES,
        )
        for stage, blocks in enumerate(backbone.blocks, start=2)
        for letter in ascii_lowercase[:blocks]
    ]


def _part(places: list[Place], row: NetworkRow) -> tuple[list[Place], list[Place]]:
    """Return the places whose blocks the tasks share, and those with one block per task."""
    if row.branch is Branch.NEVER:
        return places, []
    *_, res4a, res5a = (index for index, place in enumerate(places) if place.projected)
    first = res5a if row.branch_stage is BranchStage.AFTER_RES5A else res4a
    shared = first + (row.branch is Branch.AFTER_RES5A)
    if shared == len(places):
        raise ValueError(
            "the last stage has one block, which the tasks share: give it two or more, so that the"
            " tasks have blocks of their own"
        )
    return places[:shared], places[shared:]


def _stem(backbone: Backbone, images: Images, row: NetworkRow) -> tuple[ConvUnit, str | None, Size]:
    """Return conv1, pool1's name (None without one) and the size after them."""
    imagenet = backbone.stem is Stem.IMAGENET
    conv1 = ConvUnit(
        name="conv1",
        bottom="data",
        num_output=60 if row.conv1 is Conv1.SIXTY else backbone.conv1 or backbone.width,
        kernel_size=7 if imagenet else 3,
        stride=2 if imagenet else 1,
        norm=Norm("bn_conv1", "scale_conv1"),
        relu="conv1_relu",
        bias=row.conv1_bias is Conv1Bias.YES,  # in He's file there, and nowhere else
    )
    size = (images.height, images.width)
    if not imagenet:
        return conv1, None, size
    conv1_size = _reduced(size, 2)
    padded = row.pool1 is Pool1.PADDED
    return conv1, "pool1", _reduced(conv1_size, 2) if padded else _pooled(conv1_size)


def _reduced(size: Size, stride: int) -> Size:
    """Return the size after a padded convolution of this stride."""
    return (math.ceil(size[0] / stride), math.ceil(size[1] / stride))


def _pooled(size: Size) -> Size:
    """Return the size after Caffe's 3 x 3 pool of stride 2, whose last window may overhang."""
    height, width = (max(1, math.ceil((side - 3) / 2) + 1) for side in size)
    return (height, width)


def _move_norm(
    block: Block, moved: MovedNorm, tasks: Sequence[str]
) -> tuple[Block, tuple[TaskNorm, ...]]:
    """Move normalisation and ReLU of the branching block outside, one per task (section 4)."""
    if moved is MovedNorm.NOTHING:
        return block, ()

    def bare(unit: ConvUnit) -> ConvUnit:
        return replace(unit, norm=unit.norm.without(moved.layers))

    last = bare(block.branch2c) if "branch2c" in moved.branches else block.branch2c
    projection = block.projection
    if projection and "branch1" in moved.branches:
        projection = bare(projection)
    place = block.name.removeprefix("res")
    stays = [layer for layer in ("BatchNorm", "Scale") if layer not in moved.layers]
    branching = tuple(
        TaskNorm(
            name=f"{block.name}_{task}",
            bottom=block.name,
            norm=Norm(f"bn{place}_{task}", f"scale{place}_{task}").without(stays),
            relu=f"{block.name}_relu_{task}",
        )
        for task in tasks
    )
    made = (projection,) if projection else ()
    bared = replace(block, projection=projection, projections=made, branch2c=last, relu=None)
    return bared, branching


def top_k(classes: int) -> tuple[int, ...]:
    """Return the k of the top-k accuracies to test; 5 only where there are more classes."""
    return (1, 5) if classes > 5 else (1,)


def _head(task: str, dataset: Dataset, bottom: str, kernel: Size, pool: str) -> ClassifierHead:
    classes = dataset.task(task).classes
    return ClassifierHead(task, classes, bottom, pool, kernel, top_k(classes))
