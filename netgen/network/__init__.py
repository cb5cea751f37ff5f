"""Which networks there are, what they are made of, and their prototxt."""

__all__ = ["blocks", "build", "dataset", "options", "render", "residual", "variants"]
