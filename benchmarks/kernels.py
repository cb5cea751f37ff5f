"""How long ResNet-50 takes by kernel of OpenBLAS: its own choice, and what netgen would choose.

    python benchmarks/kernels.py [--rounds N] [--batch N]

Run from the repository's root. Forward and backward at 224 x 224, one thread, by turns, in the
Caffe beside this Python; see `netgen.caffe.blas_kernel`. On a processor that OpenBLAS knows both
may be the same kernel.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from engine import HERE, Timer, compare, resnet

from netgen.caffe.blas_kernel import KERNELS, VARIABLE, suited_here


def with_kernel(kernel: str, timer: Timer) -> Timer:
    """Return a timer that computes with a kernel; "" is OpenBLAS's own choice."""

    def time(batch: int, threads: int) -> float:
        os.environ.pop(VARIABLE, None)
        if kernel:
            os.environ[VARIABLE] = kernel
        return timer(batch, threads)

    return time


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()
    fastest = list(KERNELS)
    usable = fastest[fastest.index(suited_here() or fastest[-1]) :]
    with TemporaryDirectory() as folder:
        timer = resnet(HERE, Path(folder), iterations=1)
        peers = {kernel: with_kernel(kernel, timer) for kernel in usable}
        peers["OpenBLAS's own choice"] = with_kernel("", timer)
        compare(f"ResNet-50, batch {options.batch}", peers, options.batch, 1, options.rounds)


if __name__ == "__main__":
    main()
