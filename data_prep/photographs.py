"""Photographs as a network is to see them: read as the images were that it was trained on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from msgspec.structs import replace

from data_prep import images
from data_prep.datums import stored
from data_prep.image_files import FileTree, content_of
from data_prep.image_source import Pixels, Reject
from data_prep.images import Decoding
from netgen.network.dataset import Images


@dataclass(frozen=True)
class Photographs:
    """Reads photographs as `taken` says: a dataset's description of its images, or a network's.

    `given` has the contents of those that are in no file, by name.
    """

    taken: Images
    given: Mapping[str, bytes] = field(default_factory=dict)

    def __call__(self, name: str) -> Pixels:
        """Return the pixels of the file `name`, H x W x C: B, G, R or grey.

        For an image of a dataset these are, byte for byte, the pixels that are in its database.

        Raises
        ------
        OSError
            It cannot be read.
        ValueError
            It is no image that a dataset accepts; the message is the reason.
        """
        content = self.given.get(name)
        return photograph_pixels(
            content_of(name, os.stat(name)) if content is None else content, self.taken
        )

    def upright(self, side: int) -> Photographs:
        """Return what reads them in colour, `side` pixels wide and high, to be looked at."""
        looked_at = replace(self.taken, channels=3, height=side, width=side, encoded="raw")
        return Photographs(looked_at, self.given)


def photograph_pixels(content: bytes, taken: Images) -> Pixels:
    """Return the pixels of an image file's `content`; a ValueError if it is no image."""
    size = (taken.height, taken.width)
    pixels = images.decode(content, Decoding(size, taken.lenient, taken.rotate))
    if taken.channels == 1:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)[..., None], np.uint8)
    return stored(pixels, None if taken.encoded == "raw" else taken.encoded)[1]


def files_in(folder: Path) -> Iterator[str | Reject]:
    """Yield the paths of all files below a folder, sorted; hidden ones are skipped.

    What cannot be listed comes as a `Reject`, after the files.
    """
    found = list(FileTree(folder).files(""))
    names = sorted(each for each in found if isinstance(each, str))
    yield from (str(folder / name) for name in names)
    yield from (Reject(str(folder / x.name), x.reason) for x in found if isinstance(x, Reject))
