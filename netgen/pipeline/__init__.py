"""Whole experiments, run with netgen's commands: the paper's Table 2, and its miniature."""

__all__ = ["experiment", "launch", "miniature", "miniature_report", "parts", "records", "table2"]
