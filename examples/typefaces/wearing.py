"""A letter as a bad copy of a bad print shows it: turned, blurred, stained, worn."""

from __future__ import annotations

from hashlib import blake2b

import cv2
import numpy as np
from PIL import Image

PAPER = 255.0  # white
LEAST, MOST = 0.15, 0.8  # how worn copies are


def worn(image: Image.Image) -> Image.Image:
    """Return a grey letter, worn as its own pixels decide.

    Letters that are the same before are the same after: `netgen data` finds them, and keeps them on
    one side of the split.
    """
    pixels = np.asarray(image, np.float32)
    seed = int.from_bytes(blake2b(pixels.tobytes(), digest_size=8).digest(), "big")
    rng = np.random.Generator(np.random.PCG64(seed))
    strength = float(rng.uniform(LEAST, MOST))
    for change in (_moved, _scratched, _blurred, _stained, _faded, _grained):
        pixels = change(pixels, rng, strength).astype(np.float32)
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _moved(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Lay it on the glass askew, and copy it smaller."""
    height, width = pixels.shape
    angle = 15 * strength * rng.uniform(-1, 1)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1 - 0.4 * strength)
    matrix[:, 2] += np.asarray(4 * strength * rng.uniform(-1, 1, 2), np.float64)
    return cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_AREA, borderValue=PAPER)


def _scratched(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Lose ink along a line."""
    scratched = pixels.copy()
    begin, end = rng.integers(0, len(pixels), (2, 2)).tolist()
    cv2.line(scratched, begin, end, PAPER, 1 + round(strength))
    return scratched


def _blurred(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Take it out of focus."""
    return cv2.GaussianBlur(pixels, (0, 0), 0.3 + 1.0 * strength * rng.uniform())


def _stained(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Darken the paper in patches."""
    height, width = pixels.shape
    patches = rng.uniform(0, 1, (4, 4)).astype(np.float32)
    shade = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(pixels * (1 - 0.4 * strength * shade))


def _faded(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Take contrast away."""
    return PAPER / 2 + (pixels - PAPER / 2) * (1 - 0.6 * strength * rng.uniform())


def _grained(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Add a copier's grain."""
    return pixels + rng.normal(0, 28 * strength, pixels.shape)
