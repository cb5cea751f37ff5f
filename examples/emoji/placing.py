"""A drawing as a small picture: somewhere on a ground of some colour, in some light."""

from __future__ import annotations

from hashlib import blake2b

import cv2
import numpy as np
from PIL import Image

SIDE = 32  # of a picture, in pixels
DRAWN = 64  # of a drawing before; twice as fine, so that edges come out smooth


def placed(drawing: Image.Image, number: int) -> Image.Image:
    """Return a drawing (RGBA) on a ground, `SIDE` x `SIDE`, RGB, as its pixels and a number decide.

    Pictures of one drawing with other numbers differ in ground, light, size and place.
    """
    pixels = np.asarray(drawing.resize((DRAWN, DRAWN), Image.Resampling.LANCZOS), np.float32)
    what = blake2b(pixels.tobytes() + bytes((number,)), digest_size=8)
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(what.digest(), "big")))
    alpha = pixels[..., 3:] / 255
    turned = _turned(np.concatenate([pixels[..., :3] * alpha, alpha], axis=2), rng)
    picture = turned[..., :3] + (1 - turned[..., 3:]) * _ground(rng)
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    lit = small * rng.uniform(0.75, 1.1) * rng.uniform(0.92, 1.08, 3)
    seen = lit + rng.normal(0, 6, lit.shape)
    return Image.fromarray(np.clip(np.rint(seen), 0, 255).astype(np.uint8), "RGB")


def _turned(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn, scale and move a drawing; what was outside is transparent."""
    middle = DRAWN / 2 - 0.5
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-15, 15), rng.uniform(0.75, 1))
    matrix[:, 2] += np.asarray(rng.uniform(-5, 5, 2), np.float64)
    found = cv2.warpAffine(pixels, matrix, (DRAWN, DRAWN), flags=cv2.INTER_LINEAR)
    return np.clip(found, 0, None)


def _ground(rng: np.random.Generator) -> np.ndarray:
    """Return a ground whose colour goes from one corner to the other."""
    corners = rng.uniform(30, 255, (2, 2, 3)).astype(np.float32)
    return cv2.resize(corners, (DRAWN, DRAWN), interpolation=cv2.INTER_LINEAR)
