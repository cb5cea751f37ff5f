"""Numbers between torch and NumPy by DLPack, which any torch has for any NumPy.

Torch's own `numpy()` and `from_numpy()` work only beside the NumPy that it was compiled for: Debian
12's torch 1.13 is for NumPy 1, and netgen's environment has NumPy 2.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgen.weights.incoming.units import program


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
