"""What a measurement is: what it finds, what it can lack, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar


@dataclass(frozen=True)
class Found:
    """What a measurement finds.

    Attributes
    ----------
    shown
        What we get, in words.
    evidence
        Where it is to be seen: files, layers, commands; or the numbers it follows from.
    values
        One a printed number, in its unit.
    holds
        For a statement: whether it does.
    proves
        False where it only follows from other printed values, or is allowed by them.
    fits
        Where the paper's own words or numbers disagree: the other reading, which does fit.
    """

    shown: str
    evidence: str
    values: tuple[float, ...] = ()
    holds: bool = True
    proves: bool = True
    fits: str = ""


class Missing(Exception):  # noqa: N818 - not an error: what a measurement waits for
    """What a measurement cannot do now: `shown` is what is known meanwhile, the message why."""

    def __init__(self, why: str, shown: str = "") -> None:
        super().__init__(why)
        self.shown = shown


class NotBuilt(Missing):
    """A network that netgen cannot build (yet)."""


class NeedsTraining(Missing):
    """Something that only a trained network tells."""


class NeedsData(Missing):
    """Something that only data tells which are not here."""


class LeftOpen(Missing):
    """Something that the paper does not say: our choice, and where it is set."""


@dataclass(frozen=True)
class Context:
    """What measurements may look at besides the generator.

    `ontology` is a folder with the class lists that section 5.1 speaks of; see
    `netgen.audit.measurements.sub_ontology`. `results` is one with what `netgen eval --out` wrote.
    """

    ontology: Path | None = None
    results: Path | None = None


Measure = Callable[..., Found]
M = TypeVar("M", bound=Measure)
MEASUREMENTS: dict[str, Measure] = {}


def measurement(function: M) -> M:
    """Enter a function of a `Context` and the claim's `of` in the table, under its name."""
    MEASUREMENTS[function.__name__] = function
    return function
