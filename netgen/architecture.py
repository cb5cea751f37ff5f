"""A residual variant and a dataset -> stem, blocks and heads, in the field's words.

Layer names are those of He's ResNet-50, because Caffe copies weights by name; a task is a suffix
(``res5b_branch2a_noun``), a cross weight is named source then target (``cross5b_adj_noun``). The
text formats are the templates' business.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import groupby
from string import ascii_lowercase

from netgen.dataset import Dataset, Images
from netgen.variants import Branch, CrossWeight, MovedNorm, Normalization, Row, Sharing, Variant

Size = tuple[int, int]  # height, width

EXPANSION = 4  # Table 1: a bottleneck's last convolution is four times as wide as its first


class Stem(Enum):
    """What comes before the residual blocks."""

    IMAGENET = "imagenet"  # Table 1: 7 x 7 convolution, stride 2; 3 x 3 max pool, stride 2
    SMALL = "small"  # beyond the paper, for images of 32 pixels or so: 3 x 3, stride 1, no pool


@dataclass(frozen=True)
class Backbone:
    """The residual network that a variant is made from; the default is ResNet-50 (Table 1).

    `width` is the first stage's bottleneck width (each stage doubles it), `blocks` the number of
    blocks a stage.
    """

    width: int = 64
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    stem: Stem = Stem.IMAGENET


RESNET50 = Backbone()


@dataclass(frozen=True)
class Norm:
    """BatchNorm and Scale, Caffe's halves of a batch normalisation; None where one is absent."""

    batch_norm: str | None
    scale: str | None

    def without(self, layers: Sequence[str]) -> Norm:
        """Return the normalisation less the layers of these types."""
        return Norm(
            None if "BatchNorm" in layers else self.batch_norm,
            None if "Scale" in layers else self.scale,
        )


@dataclass(frozen=True)
class ConvUnit:
    """A convolution, then in place its normalisation and, unless None, its ReLU."""

    name: str
    bottom: str
    num_output: int
    kernel_size: int
    stride: int
    norm: Norm
    relu: str | None = None
    bias: bool = False

    @property
    def pad(self) -> int:
        """Zeros around the input: as many as keep the size at stride 1."""
        return self.kernel_size // 2


@dataclass(frozen=True)
class Cross:
    """A cross weight: a learned scale a channel on another task's activations."""

    name: str
    bottom: str


@dataclass(frozen=True)
class Block:
    """A bottleneck block: ``name = ReLU(sum of coefficient x addend)``, of shape (C, H, W)."""

    name: str
    task: str | None
    projection: ConvUnit | None
    branch2a: ConvUnit
    branch2b: ConvUnit
    branch2c: ConvUnit
    addends: tuple[str, ...]  # the shortcut, the residual, then other tasks' contributions
    relu: str | None
    shape: tuple[int, int, int]
    cross: tuple[Cross, ...] = ()
    shortcut_coefficient: float = 1.0

    @property
    def coefficients(self) -> tuple[float, ...]:
        """One number an addend: the residual's is always 1."""
        others = (self.shortcut_coefficient,) * (len(self.addends) - 2)
        return (self.shortcut_coefficient, 1.0, *others)


@dataclass(frozen=True)
class TaskNorm:
    """What moved outside the branching block: one normalisation and ReLU a task (section 4)."""

    name: str
    bottom: str
    norm: Norm
    relu: str


@dataclass(frozen=True)
class Head:
    """Average pool, classifier, loss and accuracies of one task."""

    task: str
    classes: int
    bottom: str
    pool: str
    kernel: Size
    top_k: tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """A whole network, from the images to the heads, in the order in which Caffe runs it."""

    variant: Variant
    images: Images
    conv1: ConvUnit
    pool1: str | None
    trunk: tuple[Block, ...]
    branching: tuple[TaskNorm, ...]
    towers: tuple[Block, ...]
    heads: tuple[Head, ...]
    body: str = "residual.j2"  # the template of what train_val and deploy share
    auxiliary: tuple[()] = ()  # no heads that only train


@dataclass(frozen=True)
class _Place:
    """Where a block stands: ``5a`` is the first block of He's fifth stage, its input projected."""

    name: str
    width: int
    stride: int
    projected: bool


def network(variant: Variant, dataset: Dataset, backbone: Backbone = RESNET50) -> Network:
    """Return the network of `variant` for the images and tasks of `dataset`.

    Raises
    ------
    ValueError
        The backbone leaves the tasks no block of their own, or has more blocks in a stage than
        letters can name.
    """
    shared, own = _part(_places(backbone), variant.row.branch)
    conv1, pool1, size = _stem(backbone, dataset.images)

    trunk = []
    bottom = pool1 or conv1.name
    for place in shared:
        size = _reduced(size, place.stride)
        trunk.append(_bottleneck(place, bottom, size))
        bottom = trunk[-1].name

    trunk[-1], branching = _move_norm(trunk[-1], variant.row.moved_norm, variant.tasks)
    bottoms = [norm.name for norm in branching] or [bottom] * len(variant.tasks)

    towers = []
    for place in own:
        size = _reduced(size, place.stride)
        level = [
            _bottleneck(place, bottom, size, task)
            for task, bottom in zip(variant.tasks, bottoms, strict=True)
        ]
        if not place.projected:  # a projection's other tasks are of another shape than its sum
            level = _cross_residual(level, place.name, variant.row)
        bottoms = [block.name for block in level]
        towers += level

    heads = tuple(
        _head(task, dataset, bottom, size, f"pool5_{task}" if towers else "pool5")
        for task, bottom in zip(variant.tasks, bottoms, strict=True)
    )
    return Network(
        variant, dataset.images, conv1, pool1, tuple(trunk), branching, tuple(towers), heads
    )


def stages(blocks: Sequence[Block]) -> list[list[Block]]:
    """Return `blocks` grouped by He's stage: those of one output shape that follow each other."""
    return [list(group) for _, group in groupby(blocks, key=lambda block: block.shape)]


def _places(backbone: Backbone) -> list[_Place]:
    if max(backbone.blocks) > len(ascii_lowercase):
        raise ValueError(f"{max(backbone.blocks)} blocks in a stage: at most 26 have a letter")
    return [
        _Place(
            name=f"{stage}{letter}",
            width=backbone.width * 2 ** (stage - 2),
            # Table 1 says "stride 2 after stacked residual blocks": He's first block of a stage.
            stride=2 if letter == "a" and stage > 2 else 1,
            projected=letter == "a",
        )
        for stage, blocks in enumerate(backbone.blocks, start=2)
        for letter in ascii_lowercase[:blocks]
    ]


def _part(places: list[_Place], branch: Branch) -> tuple[list[_Place], list[_Place]]:
    """Return the places whose blocks the tasks share, and those with a block a task."""
    reduction = max(index for index, place in enumerate(places) if place.projected)
    shared = {
        Branch.AFTER_RES5A: reduction + 1,
        Branch.BEFORE_RES5A: reduction,
        Branch.NEVER: len(places),
    }[branch]
    if branch is not Branch.NEVER and shared == len(places):
        raise ValueError(
            "the last stage has one block, which the tasks share: give it two or more, so that the"
            " tasks have blocks of their own"
        )
    return places[:shared], places[shared:]


def _stem(backbone: Backbone, images: Images) -> tuple[ConvUnit, str | None, Size]:
    """Return conv1, pool1's name (None without one) and the size after them."""
    imagenet = backbone.stem is Stem.IMAGENET
    conv1 = ConvUnit(
        name="conv1",
        bottom="data",
        num_output=backbone.width,
        kernel_size=7 if imagenet else 3,
        stride=2 if imagenet else 1,
        norm=Norm("bn_conv1", "scale_conv1"),
        relu="conv1_relu",
        bias=True,  # as in He's file, there and nowhere else
    )
    size = (images.height, images.width)
    if not imagenet:
        return conv1, None, size
    return conv1, "pool1", _pooled(_reduced(size, 2))


def _reduced(size: Size, stride: int) -> Size:
    """Return the size after a padded convolution of this stride."""
    return (math.ceil(size[0] / stride), math.ceil(size[1] / stride))


def _pooled(size: Size) -> Size:
    """Return the size after Caffe's 3 x 3 pool of stride 2, whose last window may overhang."""
    height, width = (max(1, math.ceil((side - 3) / 2) + 1) for side in size)
    return (height, width)


def _bottleneck(place: _Place, bottom: str, size: Size, task: str | None = None) -> Block:
    """Return a bottleneck block as in He's ResNet-50 (Table 1, equation 1)."""
    suffix = f"_{task}" if task else ""
    channels = EXPANSION * place.width

    def unit(branch: str, bottom: str, num_output: int, kernel_size: int, stride: int) -> ConvUnit:
        norm = Norm(f"bn{place.name}_{branch}{suffix}", f"scale{place.name}_{branch}{suffix}")
        relu = f"res{place.name}_{branch}_relu{suffix}" if branch in "branch2a branch2b" else None
        name = f"res{place.name}_{branch}{suffix}"
        return ConvUnit(name, bottom, num_output, kernel_size, stride, norm, relu)

    projection = unit("branch1", bottom, channels, 1, place.stride) if place.projected else None
    branch2a = unit("branch2a", bottom, place.width, 1, place.stride)
    branch2b = unit("branch2b", branch2a.name, place.width, 3, 1)
    branch2c = unit("branch2c", branch2b.name, channels, 1, 1)
    return Block(
        name=f"res{place.name}{suffix}",
        task=task,
        projection=projection,
        branch2a=branch2a,
        branch2b=branch2b,
        branch2c=branch2c,
        addends=(projection.name if projection else bottom, branch2c.name),
        relu=f"res{place.name}_relu{suffix}",
        shape=(channels, *size),
    )


def _move_norm(
    block: Block, moved: MovedNorm, tasks: Sequence[str]
) -> tuple[Block, tuple[TaskNorm, ...]]:
    """Move normalisation and ReLU of the branching block outside, one a task (section 4)."""
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
    return replace(block, projection=projection, branch2c=last, relu=None), branching


def _cross_residual(level: list[Block], place: str, row: Row) -> list[Block]:
    """Add to every task's sum the other tasks' shortcuts, weighted (equation 2)."""
    if row.cross is CrossWeight.NONE:
        return level
    shortcuts = {block.task: block.addends[0] for block in level}
    coefficient = 1 / len(level) if row.normalization is Normalization.MEAN else 1.0
    made: set[Cross] = set()
    crossed = []
    for block in level:
        others = {task: blob for task, blob in shortcuts.items() if task != block.task}
        weights, addends = [], tuple(others.values())
        if row.cross is CrossWeight.SCALE:
            target = f"_{block.task}" if row.sharing is Sharing.PER_PAIR else ""
            weights = [Cross(f"cross{place}_{j}{target}", blob) for j, blob in others.items()]
            addends = tuple(weight.name for weight in weights)
        crossed.append(
            replace(
                block,
                cross=tuple(weight for weight in weights if weight not in made),
                addends=(*block.addends, *addends),
                shortcut_coefficient=coefficient,
            )
        )
        made.update(weights)  # a weight a source is made where it is first used
    return crossed


def guesses(classes: int) -> tuple[int, ...]:
    """Return the k of the top-k accuracies to test; five say nothing where they are all."""
    return (1, 5) if classes > 5 else (1,)


def _head(task: str, dataset: Dataset, bottom: str, kernel: Size, pool: str) -> Head:
    classes = dataset.task(task).classes
    return Head(task, classes, bottom, pool, kernel, guesses(classes))
