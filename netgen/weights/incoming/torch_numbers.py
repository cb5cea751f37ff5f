"""Numbers between torch and NumPy by DLPack, which any torch has for any NumPy.

Torch's own `numpy()` and `from_numpy()` work only beside the NumPy that it was compiled for: Debian
12's torch 1.13 is for NumPy 1, and netgen's environment has NumPy 2.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import warnings
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgen.system.files import MODELS
from netgen.weights.incoming.units import program

ZIP = b"PK\x03\x04"
# What a pickle or an archive that torch did not write may raise.
DAMAGED = (
    pickle.UnpicklingError, zipfile.BadZipFile, NotImplementedError,
    AttributeError, EOFError, LookupError, OSError, TypeError,
)  # fmt: skip


def load_torch(file: str) -> Any:
    """Import torch, which is to run or to read a file.

    Raises
    ------
    MissingError
        It is not installed.
    """
    torch = program(file, "torch")
    # Torch looks for NumPy once, at its first index. If that is another than it was compiled for,
    # NumPy prints a page about it, and torch warns: neither matters to what goes by DLPack.
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.zeros(1).reshape(-1)
    return torch


def to_torch(torch: Any, array: NDArray[Any]) -> Any:
    """Return a tensor in single precision with the numbers of an array, copied.

    The copy is in C's order, writable and of this machine's bytes: of other arrays, torch refuses
    some and ends the process for others.
    """
    return torch.from_dlpack(np.array(array, np.float32, order="C"))


def from_torch(torch: Any, tensor: Any) -> NDArray[Any]:
    """Return the numbers of a tensor; of types that not every DLPack has, in one that it has.

    Raises
    ------
    ValueError
        It is no array of real numbers in memory: sparse, quantised, complex or without data.
    """
    values = tensor.detach()
    size = values.numel() * values.element_size()
    if size > MODELS:  # which a few numbers can be, that stand for all
        raise ValueError(f"{size / 2**30:,.0f} GiB, more than any network has")
    try:
        if values.is_complex() or values.is_quantized:
            raise ValueError(f"{values.dtype}, no real numbers")
        if values.dtype is torch.bool:
            values = values.to(torch.uint8)
        is_wide = values.dtype in (torch.float16, torch.float32, torch.float64)
        if values.dtype.is_floating_point and not is_wide:
            values = values.float()
        return np.from_dlpack(values)
    except (RuntimeError, TypeError, BufferError, NotImplementedError) as error:
        raise ValueError(str(error).splitlines()[0]) from None


# ---- archives -----------------------------------------------------------------------------------


def check_records(torch: Any, content: bytes) -> None:
    """Check that torch's archive has all the numbers that its tensors are said to have.

    Torch 1.13 does not: it reads what lies in memory behind a record that is too short. Other files
    than archives pass.

    Raises
    ------
    ValueError
        It has fewer.
    """
    if not content.startswith(ZIP):
        return
    try:
        _check_records(torch, content)
    except DAMAGED as error:
        raise ValueError(str(error)) from None


def _check_records(torch: Any, content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sizes = {info.filename.partition("/")[2]: info.file_size for info in archive.infolist()}
        names = [name for name in archive.namelist() if name.partition("/")[2] == "data.pkl"]
        for kind, record, count in _Storages(archive.read(names[0])).listed():
            each = getattr(torch, kind).dtype
            if count * torch.empty((), dtype=each).element_size() > sizes.get(f"data/{record}", 0):
                raise ValueError(f"data/{record} has fewer than {count} numbers")


class _Storages(pickle.Unpickler):
    """Lists the storages that a pickle of torch's names; whatever else it names stays a name."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self.found: list[tuple[str, str, int]] = []

    def listed(self) -> list[tuple[str, str, int]]:
        """Return the type, the record and the count of numbers of each storage."""
        self.load()
        return self.found

    def find_class(self, _module: str, name: str) -> Any:
        return _Name(name)

    def persistent_load(self, pid: Any) -> Any:
        _, kind, record, _, count = pid
        self.found.append((kind.name, record, count))


class _Name:
    """A function or class that a pickle names: called, it does nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *_arguments: Any) -> _Name:
        return self

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass
