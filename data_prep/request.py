"""What a user may ask for when a dataset is made, whatever its source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Encoding = Literal["png", "jpeg"]


@dataclass(frozen=True)
class Options:
    """How a dataset is made and where to.

    Attributes
    ----------
    out
        The folder to make.
    size
        Height and width in pixels of every image; None for the source's own, else 224 x 224.
    seed
        Decides the split and the order.
    encoded
        The format that images are kept in; None for raw pixels, which Caffe reads fastest.
    lenient, rotate
        As in `images.Decoding`.
    group_duplicates
        Whether identical images stay on one side of the split.
    perceptual
        Up to how many of 64 bits the perceptual hashes of near-identical images may differ in;
        None to compare contents only.
    jobs
        Number of threads.
    scheduler
        The address of a Dask scheduler whose workers read the images, instead of threads here.
    force
        Whether an older dataset in `out` may be replaced, once the new one is whole.
    resume
        Whether to continue what a killed run left.
    dry_run
        Whether to stop before anything is written.
    """

    out: Path
    size: tuple[int, int] | None = None
    seed: int = 0
    encoded: Encoding | None = None
    lenient: bool = False
    rotate: bool = False
    group_duplicates: bool = False
    perceptual: int | None = None
    jobs: int = 1
    scheduler: str | None = None
    force: bool = False
    resume: bool = False
    dry_run: bool = False
