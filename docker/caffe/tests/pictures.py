"""Makes the pictures that Caffe's tests read: not every source of Caffe brings its photographs.

python3 pictures.py FOLDER

The tests look at their sizes, and compare what Caffe reads with what OpenCV reads.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

CAT_BYTES = 140391  # one test knows its file's size
# Height, width and channels as in Caffe's examples/images.
PICTURES = {
    "cat.jpg": (360, 480, 3),
    "fish-bike.jpg": (323, 481, 3),
    "cat gray.jpg": (360, 480, 1),
    "cat_gray.jpg": (360, 480, 1),
}


def picture(height: int, width: int, channels: int) -> np.ndarray:
    """Slopes of another direction in every channel, with some noise: no two pixels alike."""
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    slopes = [rows * turn + columns * (1 - turn) for turn in np.linspace(0, 1, channels)]
    noise = np.random.default_rng(0).normal(0, 8, (height, width, channels))
    return (20 + 215 * np.stack(slopes, axis=2) + noise).clip(0, 255).astype(np.uint8)


def main() -> None:
    """Write the pictures into the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape in PICTURES.items():
        if not cv2.imwrite(str(folder / name), picture(*shape)):
            sys.exit(f"pictures.py: could not write {folder / name}")
    with (folder / "cat.jpg").open("r+b") as cat:
        cat.truncate(CAT_BYTES)  # longer: what follows the end of a JPEG is not read


if __name__ == "__main__":
    main()
