"""Whole experiments, each a file: the paper's Table 2, its miniature, and a user's own studies."""

__all__ = [
    "cells",
    "collecting",
    "elsewhere",
    "jobs",
    "launch",
    "records",
    "results_of",
    "runner",
    "study_changes",
    "study_file",
    "study_plan",
    "study_reading",
    "study_report",
    "study_run",
    "study_shown",
    "study_told",
    "table2",
]
