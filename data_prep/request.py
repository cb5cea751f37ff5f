"""The arguments of `convert`: the options of the dataset, and a receiver of progress."""

# ruff: noqa: RUF009 - `_option` returns a field

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, Literal

Encoding = Literal["png", "jpeg"]


def _option(help_: str, default: Any = MISSING, *, shapes_data: bool = True) -> Any:
    """Return a field; `shapes_data` is whether other values make another dataset."""
    return field(default=default, metadata={"help": help_, "shapes_data": shapes_data})


@dataclass(frozen=True)
class DataOptions:
    """How a dataset is made, and where; each field is an option of `netgen data`, with its help.

    Sizes are height and width in pixels; `size` is None for the source's own, else 224 x 224.
    """

    out: Path = _option("The folder to make, for example data/mine.", shapes_data=False)
    size: tuple[int, int] | None = _option(
        "Resize every image to this.  [default: 224; for a source whose images all have one size,"
        " that]",
        None,
    )
    seed: int = _option("Decides the split and the order; the same seed gives the same files.", 0)
    encoded: Encoding | None = _option(
        "Keep images in this format instead of as raw pixels: smaller, but Caffe decodes them in"
        " every epoch.",
        None,
    )
    lenient: bool = _option("Keep the parts of truncated and corrupt images that decode.", False)
    rotate: bool = _option("Apply EXIF orientations, which OpenCV of 2016 did not.", False)
    group_duplicates: bool | None = _option(
        "Keep identical images (the same pixels as stored) on one side of the split, or leave them"
        " where the split puts them, as the paper may have done.  [default: group, unless the"
        " source says which images are for training and which for test]",
        None,
    )
    perceptual: int | None = _option(
        "Also treat images as identical whose perceptual hashes differ in at most BITS of 64 bits"
        " (pip install 'netgen[perceptual]').",
        None,
    )
    jobs: int = _option("Images read at the same time.", 1, shapes_data=False)
    scheduler: str | None = _option(
        "Let the workers of this Dask scheduler read the images, for example tcp://head:8786"
        " (pip install 'netgen[cluster]'). They need netgen, and the same files at the same paths.",
        None,
        shapes_data=False,
    )
    force: bool = _option(
        "Replace an existing dataset once the new one is complete.", False, shapes_data=False
    )
    resume: bool = _option(
        "Resume an interrupted run with the same options.", False, shapes_data=False
    )
    dry_run: bool = _option(
        "Report what would be made and left out; write nothing.", False, shapes_data=False
    )


class StageProgress:
    """Receives the progress of a conversion or verification; this one ignores it."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage of `total` images (None: not known)."""

    def advance(self, count: int) -> None:
        """Count images of the stage that are done."""

    def message(self, text: str) -> None:
        """Show a message to the user."""
