"""Networks that are one chain: convolutions, some pooled, then fully connected layers.

CaffeNet (Table 2's baseline and, with 2,089 outputs, DeepSentiBank) and VGG-16.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netgen.network.baseline_layers import (
    Classifier,
    Conv,
    Fillers,
    Full,
    Pool,
    Shape,
    WidthScale,
    classifier,
    convolved,
    pooled,
)
from netgen.network.blocks import Size
from netgen.network.dataset import Dataset, Images
from netgen.network.variants import Architecture, Variant


@dataclass(frozen=True)
class Stage:
    """A convolution and, unless None, the pool and the local response normalisation after it."""

    conv: Conv
    shape: Shape  # after all of it
    pool: Pool | None = None
    norm: str | None = None

    @property
    def top(self) -> str:
        """The blob that the next stage reads."""
        return self.norm or (self.pool.name if self.pool else self.conv.name)


@dataclass(frozen=True)
class Chain:
    """A whole network, in the order in which Caffe runs it."""

    variant: Variant
    images: Images
    stages: tuple[Stage, ...]
    full: tuple[Full, ...]
    heads: tuple[Classifier, ...]
    auxiliary: tuple[()] = ()


@dataclass(frozen=True)
class ConvolutionRow:
    """A convolution of a network's table, and what follows it: a pool of kernel and stride."""

    place: str
    filters: int
    kernel_size: int
    stride: int
    pad: int
    group: int
    bias: float
    pool: tuple[int, int] | None
    norm: bool


@dataclass(frozen=True)
class ChainTable:
    """A network's table: its convolutions, and how they and the fully connected layers start."""

    rows: tuple[ConvolutionRow, ...]
    convolution: Fillers
    full: Fillers


# AlexNet's section 3.5, less its two cards but for the groups, pooled before it is normalised.
# Starts are those of BVLC's bvlc_reference_caffenet.
# fmt: off
CAFFENET = ChainTable(
    #                  place filters kernel stride pad group bias  pool   norm
    rows=(
        ConvolutionRow("1",  96,     11,    4,     0,  1,    0.0, (3, 2), True),
        ConvolutionRow("2", 256,      5,    1,     2,  2,    1.0, (3, 2), True),
        ConvolutionRow("3", 384,      3,    1,     1,  1,    0.0, None,   False),
        ConvolutionRow("4", 384,      3,    1,     1,  2,    1.0, None,   False),
        ConvolutionRow("5", 256,      3,    1,     1,  2,    1.0, (3, 2), False),
    ),
    convolution=Fillers("gaussian", std=0.01),
    full=Fillers("gaussian", std=0.005, bias=1.0),
)
# fmt: on

# VGG's Table 1, column D. Oxford's prototxt names no fillers; with He's, its layers learn from
# nothing.
VGG16 = ChainTable(
    rows=tuple(
        ConvolutionRow(
            f"{stage}_{place}", filters, 3, 1, 1, 1, 0.0, (2, 2) if place == depth else None, False
        )
        for stage, (depth, filters) in enumerate(
            [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], start=1
        )
        for place in range(1, depth + 1)
    ),
    convolution=Fillers("msra"),
    full=Fillers("msra"),
)

FULL, RATIO = 4096, 0.5  # both networks' fc6 and fc7


def chain(variant: Variant, dataset: Dataset, width: int | None = None) -> Chain:
    """Return CaffeNet or VGG-16, with `width` filters in the first convolution; None: its own.

    Raises
    ------
    UnsuitedError
        The images are too small for it.
    """
    table = CAFFENET if variant.row.architecture is Architecture.CAFFENET else VGG16
    own = table.rows[0].filters
    scale = WidthScale(width or own, own)
    size = (dataset.images.height, dataset.images.width)
    stages: list[Stage] = []
    for row in table.rows:
        stages.append(_stage(row, stages[-1].top if stages else "data", size, table, scale))
        size = stages[-1].shape[1:]
    fc6 = _full("6", stages[-1].top, table.full, scale)
    fc7 = _full("7", fc6.name, table.full, scale)
    heads = (classifier(variant, dataset, fc7.name),)
    return Chain(variant, dataset.images, tuple(stages), (fc6, fc7), heads)


def _stage(
    row: ConvolutionRow, bottom: str, size: Size, table: ChainTable, scale: WidthScale
) -> Stage:
    conv = Conv(
        name=f"conv{row.place}",
        bottom=bottom,
        relu=f"relu{row.place}",
        num_output=scale.of(row.filters),
        kernel_size=row.kernel_size,
        start=replace(table.convolution, bias=row.bias),
        stride=row.stride,
        pad=row.pad,
        group=row.group,
    )
    size = convolved(size, conv)
    pool = Pool(f"pool{row.place[0]}", conv.name, *row.pool) if row.pool else None
    size = pooled(size, pool) if pool else size
    norm = f"norm{row.place}" if row.norm else None
    return Stage(conv, (conv.num_output, *size), pool, norm)


def _full(place: str, bottom: str, start: Fillers, scale: WidthScale) -> Full:
    names = (f"fc{place}", bottom, f"relu{place}", f"drop{place}")
    return Full(*names, RATIO, scale.of(FULL), start)
