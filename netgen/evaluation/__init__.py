"""Scores a trained network: on a test set, counted into a result, or on photographs."""

__all__ = [
    "evaluate",
    "exported",
    "image_guesses",
    "labels",
    "prediction",
    "result_table",
    "results",
    "scoring",
    "stored_images",
]
