"""What the tests of several sources share: files, and what a source makes of them."""

from __future__ import annotations

from pathlib import Path

from data_prep.image_source import ImageSource, Item, Reject
from support.photographs import photograph, saved

JPEG = saved(photograph(0))


def write(file: Path, content: bytes = JPEG) -> Path:
    """Write a file, a photograph unless said otherwise, and the folders that it is in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def found(source: ImageSource) -> dict[str, dict[str, str]]:
    """Every image's classes by name."""
    return {
        item.name: {task: source.tasks[task][label] for task, label in item.labels.items()}
        for item in source.items()
        if isinstance(item, Item)
    }


def rejects(source: ImageSource) -> dict[str, str]:
    """What is left out and why, also where only reading it tells."""
    reasons: dict[str, str] = {}
    for item in source.items():
        if isinstance(item, Reject):
            reasons[item.name] = item.reason
            continue
        try:
            source.load(item.name)
        except OSError as error:
            reasons[item.name] = error.strerror or str(error)
    return reasons
