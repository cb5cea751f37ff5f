"""Weights in and out: initial ones from published files (5.2), networks for other programs."""

__all__ = ["initial", "moved", "origins", "outgoing", "report", "weighted_layers"]
