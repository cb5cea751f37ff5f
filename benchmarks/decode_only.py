"""The limit of `netgen data`: read, decode, resize and lay out images, and do nothing else.

    python benchmarks/decode_only.py ROOT

`data_speed.py` runs it by turns with `netgen data`. It does not check, hash, sum or write anything,
and imports nothing else. It uses all cores and the settings that make `netgen data` faster, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

SIZE = 224
CHUNK = 16  # images that a thread takes at a time
# Of its environment; as `data_prep.workers.keep_freed_memory` and `netgen/commands/data.py`.
SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**29),
    "OPENBLAS_NUM_THREADS": "1",
}


def main() -> None:
    """Decode all files below a folder."""
    cv2.setNumThreads(1)
    files = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(sys.argv[1])
        for name in names
    ]  # fmt: skip
    chunks = [files[i : i + CHUNK] for i in range(0, len(files), CHUNK)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as executor:
        list(executor.map(decode, chunks))


def decode(files: Sequence[str]) -> None:
    """Decode files as `convert_imageset` does, each into the same memory."""
    planes = list(np.empty((3, SIZE, SIZE), np.uint8))
    for file in files:
        with open(file, "rb") as opened:
            content = np.frombuffer(opened.read(), np.uint8)
        pixels = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is not None:
            cv2.split(cv2.resize(pixels, (SIZE, SIZE)), planes)


if __name__ == "__main__":
    main()
