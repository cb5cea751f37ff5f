"""Inception-v1, which is GoogLeNet: a stem, nine modules of four branches, and three heads.

Two of the heads are auxiliary: they train the middle of the network and are left out of deploy.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from netgen.network.variants import Variant

# Szegedy et al., Table 1.
# fmt: off
MODULES = {
    #     1x1  3x3 reduce, 3x3  5x5 reduce, 5x5  pool proj
    "3a": (64,      96, 128,        16,  32,      32),
    "3b": (128,    128, 192,        32,  96,      64),
    "4a": (192,     96, 208,        16,  48,      64),
    "4b": (160,    112, 224,        24,  64,      64),
    "4c": (128,    128, 256,        24,  64,      64),
    "4d": (112,    144, 288,        32,  64,      64),
    "4e": (256,    160, 320,        32, 128,     128),
    "5a": (256,    160, 320,        32, 128,     128),
    "5b": (384,    192, 384,        48, 128,     128),
}
# fmt: on
POOLED = {"3b": "pool3/3x3_s2", "4e": "pool4/3x3_s2"}
# Section 5: after (4a) and (4d), 128 filters of 1 x 1, 1,024 units, 70% dropout, weight 0.3.
AUXILIARY = {"4a": "loss1", "4d": "loss2"}
AUXILIARY_WIDTHS, AUXILIARY_DROPOUT, AUXILIARY_WEIGHT = (128, 1024), 0.7, 0.3
DROPOUT = 0.4
WIDTH = 64  # of conv1
START = Fillers("xavier", bias=0.2)  # bvlc_googlenet's


@dataclass(frozen=True)
class Module:
    """An inception module: four parallel branches, concatenated, and an optional pool after it."""

    name: str
    bottom: str
    shape: Shape  # of its output, before the pool
    conv1x1: Conv
    reduce3x3: Conv
    conv3x3: Conv
    reduce5x5: Conv
    conv5x5: Conv
    projection: Conv
    pool: Pool | None

    @property
    def output(self) -> str:
        """The blob of its four branches."""
        return f"{self.name}/output"

    @property
    def top(self) -> str:
        """The blob that the next module reads."""
        return self.pool.name if self.pool else self.output


@dataclass(frozen=True)
class Auxiliary:
    """An auxiliary head: pool, convolution, fully connected layer, classifier and weighted loss."""

    name: str
    pool: Pool
    conv: Conv
    full: Full
    head: Classifier
    weight: float


@dataclass(frozen=True)
class Inception:
    """A whole network, in the order in which Caffe runs it."""

    variant: Variant
    images: Images
    conv1: Conv
    pool1: Pool
    reduce2: Conv
    conv2: Conv
    pool2: Pool
    modules: tuple[Module, ...]
    pool5: Size  # of the last pool, over the whole image
    dropout: float
    heads: tuple[Classifier, ...]
    auxiliary: tuple[Auxiliary, ...]


def inception(variant: Variant, dataset: Dataset, width: int | None = None) -> Inception:
    """Return Inception-v1, with `width` filters in the first convolution; None: its own 64.

    Raises
    ------
    UnsuitedError
        The images are too small for it.
    """
    scale = WidthScale(width or WIDTH, WIDTH)
    conv1 = _conv("conv1/7x7_s2", "data", scale.of(64), 7, stride=2)
    pool1 = Pool("pool1/3x3_s2", conv1.name, 3, 2)
    reduce2 = _conv("conv2/3x3_reduce", "pool1/norm1", scale.of(64), 1)
    conv2 = _conv("conv2/3x3", reduce2.name, scale.of(192), 3)
    pool2 = Pool("pool2/3x3_s2", "conv2/norm2", 3, 2)
    size = convolved((dataset.images.height, dataset.images.width), conv1)
    size = pooled(pooled(size, pool1), pool2)

    modules: list[Module] = []
    auxiliary = []
    for place in MODULES:
        module = _module(place, modules[-1].top if modules else pool2.name, size, scale)
        modules.append(module)
        if place in AUXILIARY:
            auxiliary.append(_auxiliary(AUXILIARY[place], module, variant, dataset, scale))
        size = pooled(size, module.pool) if module.pool else size
    head = classifier(variant, dataset, "pool5/7x7_s1")
    return Inception(
        variant, dataset.images, conv1, pool1, reduce2, conv2, pool2, tuple(modules), size, DROPOUT,
        (head,), tuple(auxiliary),
    )  # fmt: skip


def _conv(name: str, bottom: str, num_output: int, kernel_size: int, stride: int = 1) -> Conv:
    """Return a convolution that keeps the size, up to its stride, under BVLC's names."""
    folder, _, last = name.rpartition("/")
    relu = f"{folder}/relu_{last.removesuffix('_s2')}"
    pad = kernel_size // 2
    return Conv(name, bottom, relu, num_output, kernel_size, START, stride, pad)


def _module(place: str, bottom: str, size: Size, scale: WidthScale) -> Module:
    name = f"inception_{place}"
    widths = [scale.of(number) for number in MODULES[place]]

    def conv(branch: str, bottom: str, num_output: int, kernel_size: int) -> Conv:
        return _conv(f"{name}/{branch}", bottom, num_output, kernel_size)

    reduce3x3 = conv("3x3_reduce", bottom, widths[1], 1)
    reduce5x5 = conv("5x5_reduce", bottom, widths[3], 1)
    return Module(
        name=name,
        bottom=bottom,
        shape=(widths[0] + widths[2] + widths[4] + widths[5], *size),
        conv1x1=conv("1x1", bottom, widths[0], 1),
        reduce3x3=reduce3x3,
        conv3x3=conv("3x3", reduce3x3.name, widths[2], 3),
        reduce5x5=reduce5x5,
        conv5x5=conv("5x5", reduce5x5.name, widths[4], 5),
        projection=conv("pool_proj", f"{name}/pool", widths[5], 1),
        pool=Pool(POOLED[place], f"{name}/output", 3, 2) if place in POOLED else None,
    )


def _auxiliary(
    name: str, module: Module, variant: Variant, dataset: Dataset, scale: WidthScale
) -> Auxiliary:
    _, height, width = module.shape
    # 5 x 5, stride 3 (section 5); less where the image is.
    pool = Pool(f"{name}/ave_pool", module.output, min(5, height, width), 3)
    filters, units = map(scale.of, AUXILIARY_WIDTHS)
    conv = _conv(f"{name}/conv", pool.name, filters, 1)
    names = (f"{name}/fc", conv.name, f"{name}/relu_fc", f"{name}/drop_fc")
    full = Full(*names, AUXILIARY_DROPOUT, units, START)
    main = classifier(variant, dataset, full.name)
    head = Classifier(
        f"{name}/classifier_{main.task}", main.task, main.classes, full.name, main.top_k
    )
    return Auxiliary(name, pool, conv, full, head, AUXILIARY_WEIGHT)
