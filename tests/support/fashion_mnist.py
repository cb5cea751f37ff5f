"""The first images of Fashion-MNIST's two published sets, with their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import cast

from data_prep.fashion_mnist import fashion_mnist
from data_prep.image_source import ImageSource, Item, Pixels, Reject, SplitName


def first(counts: dict[SplitName, int]) -> ImageSource:
    """Fashion-MNIST, less all but the first `counts` images of each set."""
    whole = fashion_mnist()

    def items() -> Iterator[Item | Reject]:
        for split, count in counts.items():
            of_split = (item for item in whole.items() if cast("Item", item).split == split)
            yield from islice(of_split, count)

    return replace(whole, items=items)


def read(split: SplitName, count: int) -> Iterator[tuple[Pixels, Item]]:
    """The first `count` images of a set, 28 x 28 x 1, with their labels."""
    source = first({split: count})
    for item in cast("Iterator[Item]", source.items()):
        yield cast("Pixels", source.load(item.name)), item
