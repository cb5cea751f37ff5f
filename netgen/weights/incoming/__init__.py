"""Weights that other programs published, as the layers of a caffemodel with He's names."""

__all__ = ["fitting", "recognize", "units"]
