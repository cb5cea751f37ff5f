"""Weights in and out: initial ones from published files (5.2), networks for other programs."""

__all__ = [
    "incoming", "initial", "moved", "origins", "outgoing", "proof", "report", "weighted_layers",
]  # fmt: skip
