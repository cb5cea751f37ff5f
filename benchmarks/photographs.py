"""Real photographs for the benchmarks: crops and scales of scikit-image's pictures.

Each is a JPEG of 500 x 375 pixels, as Flickr's "medium" size was when the corpus was gathered, in
one of 50 folders ``<adjective>_<noun>``. They are made once and kept in the cache.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

PICTURES = (
    "astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png",
    "motorcycle_right.png", "hubble_deep_field.jpg", "retina.jpg",
)  # fmt: skip
WIDTH, HEIGHT = 500, 375
QUALITY = 90
ADJECTIVES = ("bright", "calm", "dark", "happy", "old")
NOUNS = ("bird", "car", "cat", "cup", "eye", "face", "flower", "night", "sky", "star")
PAIRS = tuple(f"{adjective}_{noun}" for adjective in ADJECTIVES for noun in NOUNS)
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "netgen/photographs"


def photographs(count: int) -> Path:
    """Return a folder with `count` different photographs, 50 folders deep in pairs' names."""
    folder = CACHE / str(count)
    if not folder.exists():
        partial_folder = folder.with_name(f".{count}.partial")
        for pair in PAIRS:
            (partial_folder / pair).mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor() as executor:
            list(executor.map(partial(_save, partial_folder), range(count), chunksize=100))
        partial_folder.rename(folder)
    return folder


def names(count: int) -> list[str]:
    """Return the names of these photographs, in the order in which they were made."""
    return [f"{PAIRS[number % len(PAIRS)]}/{number:06}.jpg" for number in range(count)]


def photograph(number: int) -> Image.Image:
    """Crop `number`: from 0.5 to 1 of a picture's width, scaled to 500 x 375."""
    rng = np.random.RandomState(number)
    whole = _picture(PICTURES[rng.randint(len(PICTURES))])
    width = min(whole.width, whole.height * WIDTH / HEIGHT) * rng.uniform(0.5, 1)
    height = width * HEIGHT / WIDTH
    left, top = rng.uniform(0, whole.width - width), rng.uniform(0, whole.height - height)
    box = (left, top, left + width, top + height)
    return whole.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box)


@cache
def _picture(name: str) -> Image.Image:
    with Image.open(Path(skimage.data.data_dir) / name) as image:
        return image.convert("RGB")


def _save(folder: Path, number: int) -> None:
    file = folder / PAIRS[number % len(PAIRS)] / f"{number:06}.jpg"
    photograph(number).save(file, quality=QUALITY)
