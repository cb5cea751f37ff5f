"""He's names of a ResNet's convolutions, and what they say of its depth."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from string import ascii_lowercase

from netgen.weights.incoming.units import ForeignError

FIRST_STAGE = 2  # He's conv2_x and Keras' conv2 are torchvision's layer1
BLOCK = re.compile(r"res(\d)([a-z])_branch2a(?:_.+)?")


def block_name(stage: int, block: int, file: str) -> str:
    """Return He's name of a stage's block, counted from 0: ``res2a``.

    Raises
    ------
    ForeignError
        No letter is left for it.
    """
    if block >= len(ascii_lowercase):
        raise ForeignError(
            f"{file}: over {len(ascii_lowercase)} blocks in a stage, as in a ResNet-152: give a"
            " ResNet-50"
        )
    return f"res{stage}{ascii_lowercase[block]}"


def depth(names: Iterable[str]) -> tuple[int, ...]:
    """Return the number of blocks in each stage, from the names of convolutions; tasks count once.

    It is empty where no layer has a name of He's.
    """
    found = {(match[1], match[2]) for name in names if (match := BLOCK.fullmatch(name))}
    stages = Counter(stage for stage, _ in found)
    return tuple(stages[stage] for stage in sorted(stages))
