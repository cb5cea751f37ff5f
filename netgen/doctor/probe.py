"""What a probe is asked, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Status(str, Enum):
    """How a finding stands: missing is what was asked for and cannot be had as things are."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One line of the page: what it is about, how that stands, and the next step if it does not."""

    about: str
    status: Status
    what: str
    next_step: str = ""


@dataclass(frozen=True)
class Asked:
    """What the user means to do. What is named is needed; of the rest, a lack is a warning.

    Attributes
    ----------
    variant
        The network to train.
    dataset
        A ``dataset.toml``; None for the paper's data, which then is not needed yet.
    weights
        A caffemodel to start from, or None.
    gpu
        Whether to train on a GPU.
    out
        Where models and runs are written.
    """

    variant: str = "xs"
    dataset: Path | None = None
    weights: Path | None = None
    gpu: bool = False
    out: Path = Path()


def ok(about: str, what: str) -> Finding:
    """Return a finding of what is as it should be."""
    return Finding(about, Status.OK, what)


def lack(about: str, what: str, next_step: str, *, needed: bool = True) -> Finding:
    """Return a finding of what is not there: missing if it is needed, else a warning."""
    return Finding(about, Status.MISSING if needed else Status.WARNING, what, next_step)
