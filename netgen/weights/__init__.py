"""Weights in and out: initial ones from a published caffemodel (5.2), networks as ONNX."""

__all__ = ["initial", "moved", "onnx_file", "origins", "report", "weighted_layers"]
