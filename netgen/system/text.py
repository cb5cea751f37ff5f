"""How numbers, sizes, shapes and lists of names are written in messages."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMES = 3
MIB, GIB = 2**20, 2**30  # bytes


def listed(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """Write the first few names and the number of the rest: "a, b, c and 12 more"."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def printable(text: str) -> str:
    r"""Write what a terminal would obey, not show, as Python writes it: a line's end as \\n."""
    return "".join(x if x.isprintable() else x.encode("unicode_escape").decode() for x in text)


def shape_text(shape: Sequence[int]) -> str:
    """Write a shape for a message: 24 x 3 x 224 x 224."""
    return " x ".join(map(str, shape)) or "scalar"


def gib(size: float) -> float:
    """Return bytes in GiB."""
    return size / GIB


def value_text(value: object) -> str:
    """Write a value for a message: 0.999 also for the single-precision number closest to it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        same = len(set(value)) == 1
        return value_text(value[0]) if same else ", ".join(map(value_text, value)) or "nothing"
    return "nothing" if value is None else str(value)
