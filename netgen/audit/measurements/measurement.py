"""Measurements: their inputs, results and missing inputs; and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from netgen.audit.measurements.parsed_networks import ParsedNetwork, emitted
from netgen.paper.claims import Measure


@dataclass(frozen=True)
class Estimate:
    """A value measured on a sample, and the interval that holds the true one (95%)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Found:
    """The result of a measurement.

    Attributes
    ----------
    shown
        What was measured, in words.
    evidence
        Where to see it: files, layers, commands; or the numbers from which it follows.
    values
        What was measured for each printed number, in its unit.
    holds
        For a statement: whether it does.
    proves
        False where it only follows from other printed values, or is allowed by them.
    fits
        Where the paper's own words or numbers disagree: the other reading, which does fit.
    """

    shown: str
    evidence: str
    values: tuple[float | Estimate, ...] = ()
    holds: bool = True
    proves: bool = True
    fits: str = ""


class Missing(Exception):  # noqa: N818 - not an error: what a measurement still needs
    """A value that cannot be measured now; `shown` is what is known, the message is the reason."""

    def __init__(self, why: str, shown: str = "") -> None:
        super().__init__(why)
        self.shown = shown


class NeedsTraining(Missing):
    """Something that only a trained network shows."""


class NeedsData(Missing):
    """Something that only data show, and the data are not here."""


class LeftOpen(Missing):
    """Something that the paper does not specify: our choice, and where it is set."""


@dataclass(frozen=True)
class AuditInputs:
    """The inputs of measurements.

    Attributes
    ----------
    ontology
        A folder with the class lists of section 5.1; see `netgen.audit.measurements.public_lists`.
    results
        A folder with what `netgen eval --out` wrote.
    network
        Returns the network to measure for a variant; by default the one that netgen generates.
    """

    ontology: Path | None = None
    results: Path | None = None
    network: Callable[[str], ParsedNetwork] = emitted


Function = TypeVar("Function", bound=Callable[..., Found])
MEASUREMENTS: dict[Measure, Callable[..., Found]] = {}


def measures(measure: Measure) -> Callable[[Function], Function]:
    """Enter a function of `AuditInputs` and a claim's `of` as the one that takes this measure.

    Raises
    ------
    ValueError
        When another function takes it already.
    """

    def enter(function: Function) -> Function:
        if MEASUREMENTS.setdefault(measure, function) is not function:
            raise ValueError(f"{measure} is measured by {MEASUREMENTS[measure].__name__} already")
        return function

    return enter
