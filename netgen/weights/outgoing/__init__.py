"""Trained networks in the formats of other programs."""

__all__ = ["about", "onnx_file", "onnx_layers", "safetensors_file"]
