"""The kernel that OpenBLAS computes with, where the processor is newer than OpenBLAS.

OpenBLAS takes the kernel of the processor's model. For a model that it does not know it takes
Prescott's, of 2004: Debian 12's OpenBLAS 0.3.21 does on Intel's Xeons of 2023, and multiplies
matrices at a tenth of their speed. `OPENBLAS_CORETYPE` names another kernel, by what the processor
can do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"
OLDEST = "Prescott"
# Kernels by what they need of a processor, as Linux names it; the fastest is first.
KERNELS = {
    "SkylakeX": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
    "Haswell": {"avx2", "fma"},
}
ASK = """
import ctypes
library = ctypes.CDLL("libopenblas.so.0")
library.openblas_get_corename.restype = ctypes.c_char_p
print(library.openblas_get_corename().decode())
"""
TIMEOUT = 20  # seconds: usually a twentieth of one


@cache
def kernel_setting() -> dict[str, str]:
    """Return the environment with which OpenBLAS, when it is loaded, takes a kernel that suits.

    Empty where it takes one by itself, where somebody has chosen (`OPENBLAS_CORETYPE` is set), and
    where Caffe computes with another BLAS.
    """
    wanted = suited_here()
    if VARIABLE in os.environ or wanted is None or _own_choice() != OLDEST:
        return {}
    return {VARIABLE: wanted}


def suited_here() -> str | None:
    """Return the fastest kernel for this processor; None for OpenBLAS's own choice."""
    return suited(_abilities())


def suited(abilities: set[str]) -> str | None:
    """Return the fastest kernel for a processor of these abilities; None for OpenBLAS's own."""
    return next((name for name, needs in KERNELS.items() if needs <= abilities), None)


def _abilities() -> set[str]:
    """Return what the processor can do, by Linux' names; nothing where they are not told."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    lines = (line.partition(":") for line in text.splitlines())
    return next((set(told.split()) for name, _, told in lines if name.strip() == "flags"), set())


def _own_choice() -> str:
    """Return the kernel that OpenBLAS takes by itself, asked in a process that loads it."""
    try:
        told = subprocess.run(
            [sys.executable, "-I", "-S", "-c", ASK],
            capture_output=True, text=True, check=False, timeout=TIMEOUT,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip()
