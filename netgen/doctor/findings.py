"""The request that probes get, and the findings that they return."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Status(str, Enum):
    """The status of a finding: MISSING is a lack of what the user named, WARNING any other lack."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class DoctorFinding:
    """One line of the output: its subject, status, description, and the next step for a lack."""

    about: str
    status: Status
    what: str
    next_step: str = ""


@dataclass(frozen=True)
class DoctorRequest:
    """The training that the user plans; named inputs are needed, any other lack is a warning.

    Attributes
    ----------
    variant
        The network to train.
    dataset
        A ``dataset.toml``; None for the paper's data, which is not needed yet.
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


def ok(about: str, what: str) -> DoctorFinding:
    """Return a finding that something is as it should be."""
    return DoctorFinding(about, Status.OK, what)


def lack(about: str, what: str, next_step: str, *, needed: bool = True) -> DoctorFinding:
    """Return a finding of a lack: missing if it is needed, otherwise a warning."""
    return DoctorFinding(about, Status.MISSING if needed else Status.WARNING, what, next_step)
