"""Draws the paper's figures, and charts of what was trained and tested."""

__all__ = [
    "bipartite",
    "confusion",
    "cross_weights",
    "curves",
    "drawing",
    "layout",
    "predictions",
    "style",
]
