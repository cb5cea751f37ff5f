"""What any prototxt costs: shapes, parameters, multiply-adds and memory."""

__all__ = ["complexity", "layers", "memory", "shaping", "wiring"]
