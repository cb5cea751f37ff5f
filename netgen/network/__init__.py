"""The networks that can be built, their layers, and their prototxt."""

__all__ = [
    "blocks",
    "build",
    "dataset",
    "options",
    "render",
    "residual",
    "training_commands",
    "variants",
]
