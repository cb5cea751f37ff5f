"""Initial weights: a network's layers from another network's caffemodel (section 5.2)."""

__all__ = ["initial", "moved", "origins", "report", "weighted_layers"]
