"""The paper as data: Deep Cross Residual Learning for Multitask Visual Recognition.

Jou & Chang, ACM Multimedia 2016, DOI 10.1145/2964284.2964309. What is printed there is here, with
its place; what the paper leaves open is decided here, once, and marked as our choice. Nothing here
is computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

# Section 5.1: "167 nouns and 117 adjectives which form 553 adjective-noun pairs". Table 2's order.
TASKS = {"noun": 167, "adj": 117, "anp": 553}

# Section 5.2: "307,185 images for training and 77,073 for test at 224 x 224".
TRAIN_IMAGES = 307_185
TEST_IMAGES = 77_073
IMAGE_SIZE = 224

# Table 2, column "#Params" (millions), as printed; parentheses around the multitask rows left out.
TABLE_2_PARAMETERS = {
    "resnet50-noun": "23.90",
    "resnet50-adj": "23.80",
    "resnet50-anp": "24.69",
    "x0": "43.16",
    "x1": "43.16",
    "xs": "43.18",
}

# Our choice: a ceiling, since the paper trains "until convergence".
MAX_EPOCHS = 25

# Our choice: the paper is silent about mean subtraction. The initial weights come from ImageNet,
# whose mean in B, G, R order this is, rounded, as in Caffe's own models.
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

    Fields that are None follow from the dataset: they are an epoch, or `MAX_EPOCHS` of them.
    """

    batch_size: int = printed(24, "Images an iteration", "section 5.2")
    base_lr: float = printed(0.001, "Learning rate at the start", "section 5.2")
    momentum: float = printed(0.9, "Momentum", "section 5.2", most=1)
    weight_decay: float = printed(0.0001, "Weight decay", "section 5.2")
    memory: float = printed(12.0, "GiB that training and testing may take", "5.2: one GTX Titan X")

    max_iter: int | None = choice(
        None, "Iterations", f"{MAX_EPOCHS} epochs; the paper trains 'until convergence'"
    )
    test_interval: int | None = choice(
        None, "Iterations between tests", "an epoch: often enough to see a plateau"
    )
    snapshot: int | None = choice(
        None, "Iterations between snapshots", "an epoch, after the test of the same iteration"
    )
    display: int = choice(100, "Iterations between displays", "a few a minute on the paper's card")
    random_seed: int = choice(2016, "Seed", "any will do: stated, so that a run can be repeated")
    frozen_statistics: bool = choice(
        False,
        "Train with BatchNorm's averages instead of the batch's statistics",
        "off: the moved normalisation has no averages to start from, and 'a slightly different"
        " normalization for each task' is to be learned",
    )
    moving_average: float = choice(
        0.999,
        "Share of BatchNorm's averages that an iteration keeps",
        "Caffe's; short runs from scratch want less, since the averages start at zero",
        most=1,
    )
    head_std: float = choice(
        0.01, "Standard deviation of new classifiers", "as in Caffe's example of fine-tuning"
    )
    head_lr_mult: float = choice(
        1.0, "Learning rate of new classifiers, relative", "the paper speaks of one rate only"
    )
