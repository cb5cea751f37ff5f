"""Chance, as Table 2 prints it."""

from __future__ import annotations


def chance(classes: int, k: int) -> float:
    """Return the top-k accuracy (0 to 1) of guessing, as Table 2 counts it.

    Its rows say 1 - (1 - 1/C)^k: k guesses that may repeat; k different ones would score k/C.
    """
    return 1.0 - (1.0 - 1.0 / classes) ** k
