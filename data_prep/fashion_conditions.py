"""Fashion-MNIST's photographs under conditions: adjective-noun pairs of real photographs.

The noun is the item. The adjective is a condition of the picture, of the kind that VSO's are: dark,
misty, tilted. Each photograph is used once, under one condition. As in VSO, not every adjective
goes with every noun, and few pairs have most of the images.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path

import numpy as np

from data_prep.fashion_mnist import FILES, IMAGE_SHAPE, PACKAGE_FOLDER, published
from data_prep.image_source import DataError, ImageSource, Item, Pixels, SplitName
from data_prep.photo_conditions import CONDITIONS, Grey
from netgen.paper import TASKS
from netgen.paper.ontology import split_pair, with_rich_adjectives

# The published labels, in their order, in words of one piece.
NOUNS = (
    "tee", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
)  # fmt: skip
# How common nouns are: shoes least, so that tails are long on this side, too.
BY_FREQUENCY = (
    "shirt", "dress", "coat", "pullover", "tee", "bag", "trousers", "sneaker", "boot", "sandal",
)  # fmt: skip
IMAGES = 15_000  # before pairs have at least and at most so many
LEAST, MOST = 50, 800  # the paper: 500 and 1,000 of 384,258
SPREAD = 1.0  # of how well a noun and an adjective go together: of its logarithm
# A condition's strength, of 1: people name weak ones, too, and then adjectives are no easier than
# nouns.
WEAKEST, STRONGEST = 0.02, 0.5


def fashion_conditions(folder: Path = PACKAGE_FOLDER) -> ImageSource:
    """Read the four files of Fashion-MNIST as photographs under conditions.

    An image's name is its pair and its published place, such as ``dark_coat/train-00042``.

    Raises
    ------
    DataError
        A file is missing, damaged, or not what its name says.
    """
    _check_enough(folder)
    pairs = tuple(sorted(counts()))
    adjectives, nouns = (tuple(sorted(set(of))) for of in zip(*map(split_pair, pairs), strict=True))
    tasks = dict(zip(TASKS, (nouns, adjectives, pairs), strict=True))
    return ImageSource(
        "fashion-conditions", tasks, partial(_items, folder), partial(_load, folder),
        size=IMAGE_SHAPE,
    )  # fmt: skip


def unused_photographs(folder: Path = PACKAGE_FOLDER) -> ImageSource:
    """Read the photographs that `fashion_conditions` leaves, as they are, with one task: the item.

    To start networks from: as ImageNet's for the paper, none of them is among those others.

    Raises
    ------
    DataError
        As `fashion_conditions`.
    """
    _check_enough(folder)
    return ImageSource(
        "fashion-unused", {"item": NOUNS}, partial(_unused, folder), partial(_plain, folder),
        size=IMAGE_SHAPE,
    )  # fmt: skip


def _check_enough(folder: Path) -> None:
    """Check that there are all photographs: pairs take as many of each item as are counted."""
    for label, noun in enumerate(NOUNS):
        there = sum(int((published(folder, split)[1] == label).sum()) for split in FILES)
        if there <= _used(noun):
            raise DataError(
                f"{folder}: {there:,} photographs of {noun}, and pairs need {_used(noun):,}: name"
                " the folder with all of Fashion-MNIST (--source-folder)"
            )


def _used(noun: str) -> int:
    """Return how many photographs of an item pairs have."""
    return sum(count for pair, count in counts().items() if split_pair(pair)[1] == noun)


@cache
def counts() -> dict[str, int]:
    """Return each pair and how many images it has: a sparse bipartite graph with long tails."""
    weights = {
        f"{adjective}_{noun}": (1 + a) ** -0.6 * (1 + n) ** -0.4 * _affinity(adjective, noun)
        for a, adjective in enumerate(CONDITIONS)
        for n, noun in enumerate(BY_FREQUENCY)
    }
    whole = sum(weights.values())
    found = {pair: round(IMAGES * weight / whole) for pair, weight in weights.items()}
    kept = [pair for pair, count in found.items() if count >= LEAST]
    return {pair: min(found[pair], MOST) for pair in with_rich_adjectives(kept)}


def _affinity(adjective: str, noun: str) -> float:
    """Return how often people say the two together, as if by chance, but always the same."""
    rng = _random(f"{adjective} {noun}")
    return float(np.exp(SPREAD * rng.standard_normal()))


def _random(what: str) -> np.random.Generator:
    seed = int.from_bytes(blake2b(what.encode(), digest_size=8).digest(), "big")
    return np.random.Generator(np.random.PCG64(seed))


def _items(folder: Path) -> Iterator[Item]:
    classes = fashion_conditions(folder).tasks
    labels = {task: {name: i for i, name in enumerate(names)} for task, names in classes.items()}
    for noun_index, noun in enumerate(NOUNS):
        photographs = iter(_photographs(folder, noun_index))
        for pair in sorted(pair for pair in counts() if split_pair(pair)[1] == noun):
            adjective, _ = split_pair(pair)
            of = dict(zip(TASKS, (noun, adjective, pair), strict=True))
            for _ in range(counts()[pair]):
                name = f"{pair}/{next(photographs)}"
                yield Item(name, {task: labels[task][of[task]] for task in TASKS})


def _unused(folder: Path) -> Iterator[Item]:
    for label, noun in enumerate(NOUNS):
        for photograph in _photographs(folder, label)[_used(noun) :]:
            yield Item(photograph, {"item": label})


def _photographs(folder: Path, noun: int) -> list[str]:
    """Return all photographs of an item, as SPLIT-PLACE, in an order of no meaning."""
    found = [
        f"{split}-{place:05d}"
        for split in FILES
        for place in np.flatnonzero(published(folder, split)[1] == noun)
    ]
    return sorted(found, key=lambda name: blake2b(name.encode(), digest_size=8).digest())


def _load(folder: Path, name: str) -> Pixels:
    """Return a photograph under its condition, as strong as its name decides."""
    pair, _, photograph = name.partition("/")
    image: Grey = _plain(folder, photograph)[:, :, 0].astype(np.float32)
    rng = _random(name)
    strength = float(rng.uniform(WEAKEST, STRONGEST))
    changed = CONDITIONS[split_pair(pair)[0]](image, rng, strength)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)[..., np.newaxis]


def _plain(folder: Path, photograph: str) -> Pixels:
    """Return a photograph, H x W x 1, of its name SPLIT-PLACE."""
    split, _, place = photograph.partition("-")
    part: SplitName = "train" if split == "train" else "test"
    pixels: Pixels = published(folder, part)[0][int(place)]
    return pixels
