"""Whole experiments, each a file: the paper's Table 2, its miniature, and a user's own studies."""

__all__ = ["reporting", "running", "study", "table2"]
