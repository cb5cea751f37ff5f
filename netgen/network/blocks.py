"""The parts of residual networks: convolutions, normalisations, blocks (Table 1, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

Size = tuple[int, int]  # height, width

EXPANSION = 4  # Table 1: a bottleneck's last convolution is four times as wide as its first


@dataclass(frozen=True)
class Norm:
    """BatchNorm and Scale, Caffe's two layers of a batch normalisation; None where absent."""

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
class Weight:
    """A cross or self weight on a shortcut, of shape (C): one number per channel.

    With `num_output` it is a 1 x 1 convolution instead, of shape (C, C, 1, 1). It starts at
    `constant` or, where that is None, at random: a scale with the deviation of Caffe's msra filler
    with this `variance_norm`.
    """

    kernel_size: ClassVar[int] = 1

    name: str
    bottom: str
    constant: int | None = None
    variance_norm: str = "AVERAGE"
    fixed: bool = False
    bias: bool = False
    num_output: int | None = None


@dataclass(frozen=True)
class Block:
    """A bottleneck block: ``name = ReLU(sum of coefficient x addend)``, of shape (C, H, W)."""

    name: str
    task: str | None
    projection: ConvUnit | None
    projections: tuple[ConvUnit, ...]  # made here: its own, or those of all tasks that add it
    branch2a: ConvUnit
    branch2b: ConvUnit
    branch2c: ConvUnit
    addends: tuple[str, ...]  # the shortcut, the residual, then other tasks' contributions
    relu: str | None
    shape: tuple[int, int, int]
    cross: tuple[Weight, ...] = ()
    self_weight: Weight | None = None
    shortcut_coefficient: float = 1.0

    @property
    def weights(self) -> tuple[Weight, ...]:
        """What weighs shortcuts in this block: equation (2)'s one difference from equation (1)."""
        return (*((self.self_weight,) if self.self_weight else ()), *self.cross)

    @property
    def coefficients(self) -> tuple[float, ...]:
        """One number per addend, the residual's always 1; empty where all are 1."""
        if self.shortcut_coefficient == 1:
            return ()
        others = (self.shortcut_coefficient,) * (len(self.addends) - 2)
        return (self.shortcut_coefficient, 1.0, *others)


@dataclass(frozen=True)
class Place:
    """A block's position: ``5a`` is the first block of He's fifth stage, with a projection.

    `strided_3x3`: its 3 x 3 convolution has the stride, not the 1 x 1 before it. `rectified`: a
    ReLU ends its projection. Both are other readings.
    """

    name: str
    width: int
    stride: int
    projected: bool
    strided_3x3: bool = False
    rectified: bool = False


def bottleneck(place: Place, bottom: str, size: Size, task: str | None = None) -> Block:
    """Return a bottleneck block as in He's ResNet-50 (Table 1, equation 1)."""
    suffix = f"_{task}" if task else ""
    channels = EXPANSION * place.width
    rectified = {"branch2a", "branch2b", *(("branch1",) if place.rectified else ())}
    strides = (1, place.stride) if place.strided_3x3 else (place.stride, 1)

    def unit(branch: str, bottom: str, num_output: int, kernel_size: int, stride: int) -> ConvUnit:
        norm = Norm(f"bn{place.name}_{branch}{suffix}", f"scale{place.name}_{branch}{suffix}")
        name = f"res{place.name}_{branch}{suffix}"
        relu = f"res{place.name}_{branch}_relu{suffix}" if branch in rectified else None
        return ConvUnit(name, bottom, num_output, kernel_size, stride, norm, relu)

    projection = unit("branch1", bottom, channels, 1, place.stride) if place.projected else None
    branch2a = unit("branch2a", bottom, place.width, 1, strides[0])
    branch2b = unit("branch2b", branch2a.name, place.width, 3, strides[1])
    branch2c = unit("branch2c", branch2b.name, channels, 1, 1)
    return Block(
        name=f"res{place.name}{suffix}",
        task=task,
        projection=projection,
        projections=(projection,) if projection else (),
        branch2a=branch2a,
        branch2b=branch2b,
        branch2c=branch2c,
        addends=(projection.name if projection else bottom, branch2c.name),
        relu=f"res{place.name}_relu{suffix}",
        shape=(channels, *size),
    )


def stages(blocks: Sequence[Block]) -> list[list[Block]]:
    """Return `blocks` grouped by He's stage: those of one output shape that follow each other."""
    return [list(group) for _, group in groupby(blocks, key=lambda block: block.shape)]
