"""How each claim is measured; importing a family enters its measurements in the table."""

from __future__ import annotations

from netgen.measurements import (
    branching,
    counts,
    crossing,
    equations,
    layout,
    numbers,
    ontology,
    shortcuts,
    splits,
    training,
)
from netgen.measurements.model import (
    MEASUREMENTS,
    Context,
    Found,
    LeftOpen,
    Missing,
    NeedsData,
    NeedsTraining,
    NotBuilt,
)

FAMILIES = (
    branching,
    counts,
    crossing,
    equations,
    layout,
    numbers,
    ontology,
    shortcuts,
    splits,
    training,
)

__all__ = [
    "FAMILIES",
    "MEASUREMENTS",
    "Context",
    "Found",
    "LeftOpen",
    "Missing",
    "NeedsData",
    "NeedsTraining",
    "NotBuilt",
]
