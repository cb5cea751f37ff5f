"""Draws the paper's figures, and charts of training and test results."""

__all__ = [
    "bipartite",
    "confusion",
    "cross_weights",
    "curves",
    "drawing",
    "inside_charts",
    "layout",
    "page",
    "predictions",
    "shapes",
    "style",
    "verdict_map",
]
