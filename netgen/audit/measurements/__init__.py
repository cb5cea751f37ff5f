"""Measures what each claim states: importing a family enters its functions in `MEASUREMENTS`."""

from __future__ import annotations

from netgen.audit.measurements import (
    arithmetic,
    counts,
    cross_residuals,
    shortcuts,
    sub_ontology,
    table_1,
    training_setup,
    waiting,
)
from netgen.audit.measurements.measurement import MEASUREMENTS, AuditInputs
from netgen.paper.claims import Measure

if unmeasured := set(Measure) - MEASUREMENTS.keys():
    raise ImportError(f"no function takes {', '.join(one.name for one in unmeasured)}")

__all__ = [
    "MEASUREMENTS",
    "AuditInputs",
    "arithmetic",
    "counts",
    "cross_residuals",
    "shortcuts",
    "sub_ontology",
    "table_1",
    "training_setup",
    "waiting",
]
