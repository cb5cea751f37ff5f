"""A residual network of another program, part by part, and the layers of Caffe's that it becomes.

Programs differ in how they order colours and axes, in which layer has a bias, and in whether the
normalisations are folded. Here a part is a convolution with what normalises it, under He's name of
the convolution; `netgen.weights.incoming.fitting` makes the layers that a network asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgen.weights.weighted_layers import WeightsError

Array = NDArray[np.floating[Any]]
Run = Callable[[NDArray[np.float32]], dict[str, Array]]
STEM = "conv1"


class ForeignError(WeightsError):
    """A file of weights that cannot be read as a ResNet-50's; the message says what and where."""


class MissingError(ForeignError):
    """What reads this kind of file is not installed."""

    def __init__(self, file: str, package: str, to_install: str) -> None:
        super().__init__(
            f"{file}: reading it needs the package {package}, which this Python does not have:"
            f" pip install {to_install}"
        )


def program(file: str, package: str) -> Any:
    """Import the program that runs a file's network, of the extra of its name.

    Raises
    ------
    MissingError
        It is not installed.
    """
    try:
        return import_module(package)
    except ImportError:
        raise MissingError(file, package, f"'netgen[{package}]'") from None


@dataclass(frozen=True)
class Pixels:
    """What a network takes for a pixel: (value of 0 to 255 - mean) / deviation, by colour.

    `bgr`: its first channel is blue. `mean` and `deviation` are in B, G, R; a mean of None is not
    stated: that of whoever uses it.
    """

    bgr: bool
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] = (1.0, 1.0, 1.0)


class Style(Enum):
    """How a network takes its pixels and, where a file does not say, which convolution strides."""

    CAFFE = "B, G, R, 0 to 255 less a mean; stride in a block's 1 x 1"
    PYTORCH = "R, G, B, 0 to 1, normalised; stride in a block's 3 x 3"

    @property
    def pixels(self) -> Pixels:
        """The pixels; PyTorch's are those of torchvision and timm."""
        if self is Style.CAFFE:
            return Pixels(bgr=True)
        mean, deviation = (0.406, 0.456, 0.485), (0.225, 0.224, 0.229)
        return Pixels(
            bgr=False,
            mean=tuple(255 * value for value in mean),
            deviation=tuple(255 * value for value in deviation),
        )

    def stride(self, branch: str) -> int:
        """Return the stride of a convolution of a block that halves the size."""
        strided = "branch2a" if self is Style.CAFFE else "branch2b"
        return 2 if branch in ("branch1", strided) else 1


@dataclass(frozen=True, eq=False)
class Normal:
    """A normalisation with fixed statistics: (x - mean) / sqrt(variance + eps) * gamma + beta."""

    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    eps: float


@dataclass(frozen=True, eq=False)
class Unit:
    """A convolution, kernel (out, in, H, W) and bias, and what normalises it.

    `normal` is None where the normalisation is folded into the kernel and the bias.
    """

    kernel: Array
    bias: Array | None
    normal: Normal | None
    stride: int


@dataclass(frozen=True, eq=False)
class Classifier:
    """The last layer: weights (classes, channels) and bias (classes)."""

    weights: Array
    bias: Array


@dataclass(frozen=True, eq=False)
class Foreign:
    """A residual network of another program.

    Attributes
    ----------
    file, kind
        Where it is from, and what it is: "Keras' ResNet50".
    units
        By He's name of the convolution.
    classifier
        None in a file without one.
    pixels
        What it takes.
    padded
        Whether its first pool begins a pixel outside, and no window overhangs; None: not known.
    run
        Runs it by its own program on images N x C x H x W, of its own pixels; gives the values of
        its stages, N x C x H x W, under He's names: conv1 (rectified), res2, ..., res5, pool5.
    notes
        What a user should know of the file.
    """

    file: str
    kind: str
    units: Mapping[str, Unit]
    classifier: Classifier | None
    pixels: Pixels
    padded: bool | None
    run: Run
    notes: tuple[str, ...] = field(default=())


def checked(file: str, name: str, *arrays: Array | None) -> None:
    """Refuse numbers that are no numbers, or none of a network that was trained in floats.

    Raises
    ------
    ForeignError
        They are whole numbers, complex ones, text or the like, NaN, or too large for float32.
    """
    for array in (each for each in arrays if each is not None):
        kind = array.dtype
        if kind.kind in "biu" or kind.name.startswith(("int", "uint")):  # ONNX has them of 4 bits
            raise ForeignError(
                f"{file}: {name}: whole numbers ({kind}), as of a quantised network: give that in"
                " float32"
            )
        if kind.kind != "f" and kind.name != "bfloat16":
            raise ForeignError(
                f"{file}: {name}: {kind.name}, where a network's weights are floats: save it in"
                " float32"
            )
        if not np.isfinite(array).all():
            raise ForeignError(
                f"{file}: {name}: NaN or infinite numbers: the training that left them diverged"
            )
        if (np.abs(array) > np.finfo(np.float32).max).any():
            raise ForeignError(f"{file}: {name}: numbers that are too large for float32")


def in_halves(arrays: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    """Return a note if numbers are in half precision, else nothing."""
    count = sum(array.dtype == np.float16 for array in arrays.values())
    if not count:
        return ()
    return (f"{count} of its arrays are in half precision: written in single, no digit is won",)
