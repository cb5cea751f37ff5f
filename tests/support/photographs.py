"""Real photographs for tests: crops of scikit-image's pictures, and files made from them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

PICTURES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")


@cache
def picture(name: str) -> Image.Image:
    """One of the pictures, in RGB."""
    with Image.open(Path(skimage.data.data_dir) / name) as image:
        return image.convert("RGB")


def photograph(number: int, width: int = 120, height: int = 90) -> Image.Image:
    """Crop `number`, scaled to this size: every number gives another photograph."""
    rng = np.random.RandomState(number)
    whole = picture(PICTURES[number % len(PICTURES)])
    scale = rng.uniform(0.4, 0.8)
    crop = int(whole.width * scale), int(whole.height * scale)
    left, top = (
        rng.randint(0, 1 + room) for room in (whole.width - crop[0], whole.height - crop[1])
    )
    box = (left, top, left + crop[0], top + crop[1])
    return whole.resize((width, height), Image.Resampling.BILINEAR, box)


def many(count: int, of: int = 50) -> Iterator[bytes]:
    """Yield so many JPEGs, no two of the same pixels: `of` photographs, in several brightnesses."""
    pictures = [photograph(number) for number in range(of)]
    for number in range(count):
        table = [min(255, value + number // of) for value in range(256)]
        yield saved(pictures[number % of].point(table * 3))


def saved(image: Image.Image, format_: str = "JPEG", **how: Any) -> bytes:
    """`image` as a file's content."""
    file = io.BytesIO()
    image.save(file, format_, **how)
    return file.getvalue()


def by_opencv(content: bytes) -> NDArray[np.uint8]:
    """The pixels that OpenCV decodes `content` to, H x W x 3, blue before red."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels.astype(np.uint8, copy=False)
