"""Identify the Caffe, BLAS kernel and device in use; called in the process that has Caffe."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from netgen.system.machine import gpu_name, threads_wanted

# The BLAS of Caffe. NumPy and SciPy bring OpenBLAS libraries of their own under other names.
BLAS = re.compile(r"lib(openblas|mkl_rt|atlas|blis|satlas|tatlas)[^/]*\.so")
CAFFE = re.compile(r"libcaffe[^/]*\.so|_caffe[^/]*\.so")


class EngineFingerprint(Struct, frozen=True, forbid_unknown_fields=True):
    """The software and device that determine a training's bits: the same ones repeat them.

    Attributes
    ----------
    version
        Caffe's version, as pycaffe gives it.
    library
        SHA-256 of the Caffe library.
    blas
        File name of its BLAS, and the kernel that this chose for the processor.
    threads
        Number of threads of the BLAS.
    device
        "CPU", or the GPU's name.
    """

    version: str
    library: str
    blas: str
    threads: int
    device: str


class EngineReport(NamedTuple):
    """What the parent process needs to know about Caffe before a run."""

    engine: EngineFingerprint
    can_reseed: bool


def describe(gpu: int | None) -> EngineReport:
    """Return the engine's fingerprint, and whether it can repeat Dropout."""
    return EngineReport(engine(gpu), can_reseed())


def engine(gpu: int | None) -> EngineFingerprint:
    """Describe the Caffe of this process; `gpu` is the number of the GPU that computes, if any."""
    import caffe

    libraries = sorted(path for path in loaded() if CAFFE.match(path.name))
    digest = hashlib.sha256()
    for path in libraries:
        digest.update(path.read_bytes())
    version = getattr(caffe, "__version__", "unknown")
    if os.environ.get("CAFFE_PLAIN", "").startswith("1"):  # other loops, other bits
        version += " with CAFFE_PLAIN=1"
    device = "CPU" if gpu is None else gpu_name(gpu)
    return EngineFingerprint(version, digest.hexdigest(), *blas(), device)


def can_reseed() -> bool:
    """Return whether this pycaffe can seed the generator that Dropout draws from."""
    import caffe

    return hasattr(caffe, "set_random_seed")


def differences(then: EngineFingerprint, now: EngineFingerprint) -> list[str]:
    """Return in words what differs between two engines."""
    names = {
        "version": "Caffe's version",
        "library": "Caffe's library",
        "blas": "the BLAS kernel",
        "threads": "the number of BLAS threads",
        "device": "the device",
    }
    return [
        f"{what} was {_short(getattr(then, name))}, now {_short(getattr(now, name))}"
        for name, what in names.items()
        if getattr(then, name) != getattr(now, name)
    ]


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if re.fullmatch(r"[0-9a-f]{64}", text) else text


def loaded() -> Iterator[Path]:
    """Yield the files that this process has mapped, shared libraries among them."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    yield from {Path(line.split(maxsplit=5)[5]) for line in maps.splitlines() if "/" in line}


def blas() -> tuple[str, int]:
    """Return the BLAS's file name with its kernel, and how many threads it uses.

    "unknown" where this process has none loaded.
    """
    found = sorted(path for path in loaded() if BLAS.match(path.name))
    if not found:
        return "unknown", threads_wanted()
    library = ctypes.CDLL(str(found[0]))
    if not hasattr(library, "openblas_get_corename"):
        return found[0].name, threads_wanted()
    library.openblas_get_corename.restype = ctypes.c_char_p
    kernel = library.openblas_get_corename().decode()
    return f"{found[0].name} ({kernel})", library.openblas_get_num_threads()
