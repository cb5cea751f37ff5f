"""The networks that can be built, their layers, and their prototxt."""

__all__ = [
    "blocks",
    "build",
    "dataset",
    "description",
    "options",
    "recognized",
    "render",
    "residual",
    "training_commands",
    "variants",
]
