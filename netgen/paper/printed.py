"""The paper as data: Deep Cross Residual Learning for Multitask Visual Recognition.

Jou & Chang, ACM Multimedia 2016, DOI 10.1145/2964284.2964309. This module holds what the paper
prints, with its place; what the paper leaves open is decided here, once, and marked as our choice.
Nothing here is computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

# Section 5.1: "167 nouns and 117 adjectives which form 553 adjective-noun pairs". Table 2's order.
TASKS = {"noun": 167, "adj": 117, "anp": 553}

# Section 5.1's three criteria for a part of VSO: "adjectives with >= 3 paired nouns"; "nouns that
# are not overwhelmingly biasing, v.s. face or flowers, and non-abstract, unlike loss, adventure or
# history"; "ANPs with >= 500 images". And how VSO's corpus was collected before that: "limiting to
# at most 1,000 images per concept".
LEAST_NOUNS = 3
BIASING_NOUNS = ("face", "flowers")
ABSTRACT_NOUNS = ("loss", "adventure", "history")
LEFT_OUT_NOUNS = BIASING_NOUNS + ABSTRACT_NOUNS
LEAST_IMAGES, MOST_IMAGES = 500, 1000

# Section 5.1: "over 384,258 social images". Section 5.2: "307,185 images for training and 77,073
# for test at 224 x 224".
ALL_IMAGES = 384_258
TRAIN_IMAGES = 307_185
TEST_IMAGES = 77_073
# Our choice: this size for every network. CaffeNet is published for 227, but both sizes leave 6 x 6
# before fc6, so that its weights fit; a dataset with images of 227 builds it for those.
IMAGE_SIZE = 224
IMAGE_SHAPE = (3, IMAGE_SIZE, IMAGE_SIZE)

# Section 5.2: the channels of crossed activations, "x in R^{7x7x2048}", and the largest number of
# parameters of a cross weight.
CROSS_CHANNELS = 2_048

# The names of Table 2's networks in `netgen list` and in the claims.
SLUGS = {
    "Chance": "chance",
    "DeepSentiBank": "deepsentibank",
    "CaffeNet": "caffenet",
    "Inception-v1": "inception-v1",
    "VggNet-16": "vgg16",
    "ResNet-50": "resnet50",
    "X_0-ResNet-50": "x0",
    "X_1-ResNet-50": "x1",
    "X_S-ResNet-50": "xs",
}


@dataclass(frozen=True)
class Accuracies:
    """A row of Table 2: one network, or one task of it, as printed."""

    network: str
    task: str
    parameters: str  # millions; empty where the cell above is for all tasks
    top1: str
    top5: str

    @property
    def slug(self) -> str:
        """The network's name in `netgen list`."""
        return SLUGS[self.network]

    @property
    def variant(self) -> str:
        """The name in `netgen list` of the network that solves this row's task."""
        one_for_all = self.network.startswith("X_") or self.network == "DeepSentiBank"
        return self.slug if one_for_all else f"{self.slug}-{self.task}"

    @property
    def quote(self) -> str:
        """The row's cells, without the network's name, which only its first row has."""
        multitask = self.network.startswith("X_")
        parameters = f"({self.parameters})" if multitask and self.parameters else self.parameters
        task = {"noun": "Noun", "adj": "Adj", "anp": "ANP"}[self.task]
        return " ".join(cell for cell in (task, parameters, self.top1, self.top5) if cell)


# Table 2.   network            task    #Params   Top-1    Top-5
# fmt: off
TABLE_2 = (
    Accuracies("Chance",        "noun", "–",      "0.60",  "2.96"),
    Accuracies("Chance",        "adj",  "–",      "0.86",  "4.20"),
    Accuracies("Chance",        "anp",  "–",      "0.18",  "0.90"),
    Accuracies("DeepSentiBank", "anp",  "65.43",  "7.86",  "11.96"),
    Accuracies("CaffeNet",      "noun", "57.55",  "36.11", "63.48"),
    Accuracies("CaffeNet",      "adj",  "57.35",  "23.84", "51.20"),
    Accuracies("CaffeNet",      "anp",  "59.13",  "18.84", "41.57"),
    Accuracies("Inception-v1",  "noun", "10.82",  "39.93", "67.98"),
    Accuracies("Inception-v1",  "adj",  "10.66",  "26.32", "55.57"),
    Accuracies("Inception-v1",  "anp",  "12.00",  "20.48", "45.01"),
    Accuracies("VggNet-16",     "noun", "134.94", "41.64", "69.51"),
    Accuracies("VggNet-16",     "adj",  "134.74", "28.45", "57.77"),
    Accuracies("VggNet-16",     "anp",  "136.53", "22.68", "47.70"),
    Accuracies("ResNet-50",     "noun", "23.90",  "41.64", "69.81"),
    Accuracies("ResNet-50",     "adj",  "23.80",  "28.41", "57.87"),
    Accuracies("ResNet-50",     "anp",  "24.69",  "22.79", "47.82"),
    Accuracies("X_0-ResNet-50", "noun", "43.16",  "40.06", "68.06"),
    Accuracies("X_0-ResNet-50", "adj",  "",       "26.81", "56.09"),
    Accuracies("X_0-ResNet-50", "anp",  "",       "20.74", "45.46"),
    Accuracies("X_1-ResNet-50", "noun", "43.16",  "28.61", "56.52"),
    Accuracies("X_1-ResNet-50", "adj",  "",       "17.98", "43.10"),
    Accuracies("X_1-ResNet-50", "anp",  "",       "12.56", "31.49"),
    Accuracies("X_S-ResNet-50", "noun", "43.18",  "42.18", "70.04"),
    Accuracies("X_S-ResNet-50", "adj",  "",       "28.88", "58.50"),
    Accuracies("X_S-ResNet-50", "anp",  "",       "22.89", "48.54"),
)
# fmt: on

# Millions, as printed, by variant; a multitask network's are printed in its first row.
TABLE_2_PARAMETERS = {
    row.variant: row.parameters for row in TABLE_2 if row.parameters not in ("", "–")
}

# Section 5.2: DeepSentiBank was trained "to detect 2,089 ANPs", which include the 553.
DEEPSENTIBANK_PAIRS = 2_089

# Our choice: an upper limit, since the paper trains "until convergence".
MAX_EPOCHS = 25

# Our choice, since the paper does not mention mean subtraction: ImageNet's mean in B, G, R order,
# rounded, as in Caffe's own models, because the initial weights come from ImageNet.
IMAGENET_MEAN = (104.0, 117.0, 123.0)


def printed(default: T, what: str, place: str, most: float = 1e6) -> T:
    """Return a dataclass field that the paper prints: its value, meaning, place and limit."""
    return field(default=default, metadata={"what": what, "printed": place, "most": most})


def choice(default: T, what: str, why: str, most: float = 1e9) -> T:
    """Return a dataclass field that the paper leaves open: our value, its meaning, why, limit."""
    return field(default=default, metadata={"what": what, "choice": why, "most": most})


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Each field says where the paper prints it, or why we chose it.

    Fields that are None follow from the dataset: one epoch, or `MAX_EPOCHS` epochs.
    """

    batch_size: int = printed(24, "Images per iteration", "section 5.2")
    base_lr: float = printed(0.001, "Learning rate at the start", "section 5.2")
    momentum: float = printed(0.9, "Momentum", "section 5.2", most=1)
    weight_decay: float = printed(0.0001, "Weight decay", "section 5.2")
    mirror: bool = printed(True, "Flip training images at random", "section 5.2")
    memory: float = printed(
        12.0, "GiB that training and testing may take", "section 5.2: one GTX Titan X"
    )

    stepvalues: tuple[int, ...] = choice(
        (),
        "Iterations before which the rate drops tenfold, as in 900,1200",
        "none: `netgen train` drops it 'whenever the loss plateaued'",
    )
    max_iter: int | None = choice(
        None, "Iterations", f"{MAX_EPOCHS} epochs; the paper trains 'until convergence'"
    )
    test_interval: int | None = choice(
        None, "Iterations between tests", "an epoch: often enough to see a plateau"
    )
    snapshot: int | None = choice(
        None, "Iterations between snapshots", "an epoch, after the test of the same iteration"
    )
    display: int = choice(
        100, "Iterations between displays", "a few per minute on the paper's card"
    )
    random_seed: int = choice(
        2016, "Seed", "any value will do; it is fixed so that a run can be repeated"
    )
    frozen_statistics: bool = choice(
        False,
        "Train with BatchNorm's averages instead of the batch's statistics",
        "off: the moved normalisation has no averages to start from, and 'a slightly different"
        " normalization for each task' is to be learned",
    )
    moving_average: float = choice(
        0.999,
        "Share of BatchNorm's averages that an iteration keeps",
        "Caffe's; short runs from scratch need less, because the averages start at zero",
        most=1,
    )
    head_std: float = choice(
        0.01, "Standard deviation of new classifiers", "as in Caffe's example of fine-tuning"
    )
    head_lr_mult: float = choice(
        1.0, "Learning rate of new classifiers, relative", "the paper names only one rate"
    )
