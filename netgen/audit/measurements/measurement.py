"""Measurements: their inputs, results and missing inputs; and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeVar

from netgen.audit.measurements.parsed_networks import ParsedNetwork, emitted
from netgen.paper.claims import Measure


class Basis(Enum):
    """What a measurement rests on; the value explains it.

    The verdict of a claim that is met follows from it: what we chose ourselves proves nothing when
    it is read back.
    """

    COUNT = "counted in a network, by Caffe's rules"
    ARITHMETIC = "computed from other numbers that are printed"
    LISTS = "read from public lists"
    TRAINED = "measured on a trained network"
    OWN_FILES = "read back from files that were written as the paper says"
    RESULTS = "computed from printed accuracies, which need training"
    ALLOWED = "an estimate, or one of several readings"


@dataclass(frozen=True)
class Estimate:
    """A value measured on a sample, and the interval that holds the true one (95%)."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether the interval has that value."""
        return self.low <= value <= self.high


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
    fits
        Where the paper's own words or numbers disagree: the other reading, which does fit.
    """

    shown: str
    evidence: str
    values: tuple[float | Estimate, ...] = ()
    holds: bool = True
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
BASES: dict[Measure, Basis] = {}


def measures(measure: Measure, basis: Basis) -> Callable[[Function], Function]:
    """Enter a function of `AuditInputs` and a claim's `of` as the one that takes this measure.

    `basis` is what its results rest on.

    Raises
    ------
    ValueError
        When another function takes it already.
    """

    def enter(function: Function) -> Function:
        if MEASUREMENTS.setdefault(measure, function) is not function:
            raise ValueError(f"{measure} is measured by {MEASUREMENTS[measure].__name__} already")
        BASES[measure] = basis
        return function

    return enter
