"""Two rules that the paper's printed numbers imply but its text omits: chance, and the split."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Images = TypeVar("Images", int, "NDArray[np.int64]")  # of one class, or one number per class


def chance(classes: int, k: int) -> float:
    """Return the top-k accuracy (0 to 1) of guessing, as Table 2 counts it.

    Its rows are 1 - (1 - 1/C)^k: k guesses that may repeat; k different ones would score k/C.
    """
    return 1.0 - (1.0 - 1.0 / classes) ** k


class Rounding(Enum):
    """How 80% of a class's images are rounded; the value is the fifths added before dividing."""

    FLOOR = 0
    NEAREST = 2
    CEIL = 4

    def of(self, images: Images) -> Images:
        """Return how many of a class's `images` are for training."""
        return (4 * images + self.value) // 5


def training_images(images: Images) -> Images:
    """Return how many of the images of an adjective-noun pair are for training: floor(0.8 n).

    Section 5.2 prints "a 80/20 partition"; only this rounding gives its totals (the claim
    `split-rule` of `netgen audit`).
    """
    return Rounding.FLOOR.of(images)
