"""Trained networks in the formats of other programs."""

__all__ = ["onnx_file", "onnx_layers"]
