"""How each claim is measured; importing a family enters its measurements in the table."""

from __future__ import annotations

from netgen.audit.measurements import (
    arithmetic,
    branching,
    cross_residuals,
    equations,
    parameter_counts,
    split_rounding,
    sub_ontology,
    table_1,
    training_setup,
)
from netgen.audit.measurements.measurement import (
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
    parameter_counts,
    cross_residuals,
    equations,
    table_1,
    arithmetic,
    sub_ontology,
    equations,
    split_rounding,
    training_setup,
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
