"""What may be wrong with a photograph: each condition changes one, more or less strongly."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]  # height x width, 0 to 255
Condition = Callable[[Grey, np.random.Generator, float], Grey]

MIST = 170.0  # grey


def dark(image: Grey, _: np.random.Generator, strength: float) -> Grey:
    """Take light away."""
    return _of(image * (1 - 0.8 * strength))


def misty(image: Grey, rng: np.random.Generator, strength: float) -> Grey:
    """Lay mist in patches over it."""
    patches = rng.uniform(0.3, 1, (3, 3)).astype(np.float32)
    height, width = image.shape
    veil = 0.8 * strength * cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    return _of(image * (1 - veil) + MIST * veil)


def noisy(image: Grey, rng: np.random.Generator, strength: float) -> Grey:
    """Add a sensor's noise."""
    return _of(image + rng.normal(0, 60 * strength, image.shape))


def blurred(image: Grey, _: np.random.Generator, strength: float) -> Grey:
    """Take it out of focus."""
    return _of(cv2.GaussianBlur(image, (0, 0), 0.3 + 1.6 * strength))


def tilted(image: Grey, rng: np.random.Generator, strength: float) -> Grey:
    """Turn it: the camera was not held level."""
    return _turned(image, float(rng.choice((-1, 1))) * (2 + 35 * strength), 1.0)


def close(image: Grey, rng: np.random.Generator, strength: float) -> Grey:
    """Come too near: parts are outside."""
    moved = rng.uniform(-3, 3, 2)
    return _turned(image, 0.0, 1.03 + 0.9 * strength, moved)


def distant(image: Grey, rng: np.random.Generator, strength: float) -> Grey:
    """Go too far away."""
    room = 7 * strength
    return _turned(image, 0.0, 0.97 - 0.6 * strength, rng.uniform(-room, room, 2))


def torn(image: Grey, rng: np.random.Generator, strength: float) -> Grey:
    """Tear a strip out of it."""
    torn_image = image.copy()
    along = torn_image if rng.random() < 0.5 else torn_image.T
    thick = round(1 + 8 * strength)
    begin = int(rng.integers(4, len(along) - thick - 4))
    along[begin : begin + thick] = 0
    return torn_image


def shadowy(image: Grey, rng: np.random.Generator, strength: float) -> Grey:
    """Let a shadow fall over one side."""
    height, width = image.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    across = (x - width / 2) * np.cos(angle) + (y - height / 2) * np.sin(angle)
    light = 1 / (1 + np.exp(-across / 2))
    return _of(image * (1 - strength * (1 - light)))


def dusty(image: Grey, rng: np.random.Generator, strength: float) -> Grey:
    """Put white specks on the lens."""
    specks = rng.random(image.shape) < 0.004 + 0.08 * strength
    return _of(np.where(specks, 255, image))


def faded(image: Grey, _: np.random.Generator, strength: float) -> Grey:
    """Take contrast away, as of an old print."""
    return _of(MIST / 2 + (image - MIST / 2) * (1 - 0.8 * strength))


# In the order of how common they are: the first are the most frequent adjectives.
CONDITIONS: dict[str, Condition] = {
    each.__name__: each
    for each in (
        dark, blurred, tilted, noisy, misty, distant, close, shadowy, faded, dusty, torn,
    )
}  # fmt: skip


def _turned(image: Grey, degrees: float, scale: float, moved: object = (0.0, 0.0)) -> Grey:
    """Turn, scale and move an image; what was outside is black, as the photographs' ground."""
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, scale)
    matrix[:, 2] += np.asarray(moved, np.float64)
    return _of(cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR))


def _of(image: object) -> Grey:
    return np.asarray(image, np.float32)
