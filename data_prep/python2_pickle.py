"""Python 2's pickles of arrays, lists and strings, read without running anything that they name.

A pickle names functions and their arguments; the standard reader calls any of them. A published
file of arrays needs three names, all of them NumPy's. Here they are replaced by small classes that
only record their arguments; any other name is refused before it is looked up. So a pickle cannot
run code or make an array itself: it gives bytes and a shape, which are checked.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PickleError(ValueError):
    """A pickle that is refused; the message says why."""


class _Dtype:
    """Records a type of number: ``dtype('u1', 0, 1)``."""

    def __init__(self, name: bytes = b"", *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and alignment, which single bytes do not have."""


class _Array:
    """Records an array's shape, type and bytes: what ``_reconstruct`` makes and then fills."""

    def __init__(self, *_: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def array(self) -> NDArray[np.uint8]:
        """Return the array of unsigned bytes, at most of two dimensions, read-only."""
        match self.state:
            case (int(), (int(rows), int(columns)), _Dtype(name=b"u1"), fortran, bytes(content)):
                if rows < 0 or columns < 0 or rows * columns != len(content):
                    raise PickleError(
                        f"an array of {rows} x {columns} that holds {len(content)} bytes"
                    )
                flat = np.frombuffer(content, np.uint8)
                return flat.reshape(rows, columns, order="F" if fortran else "C")
        raise PickleError("an array that is no table of unsigned bytes")


# Every name that a pickle may use. `ndarray` is only an argument of `_reconstruct`.
ALLOWED: dict[tuple[str, str], Callable[..., Any] | None] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _Dtype,
}


# The operations that dicts, lists, strings and arrays need in the protocols of Python 2. Later
# protocols are not needed, and have operations that can reserve any amount of memory.
OPERATIONS = b"".join(
    (
        *(pickle.PROTO, pickle.STOP, pickle.MARK, pickle.GLOBAL, pickle.REDUCE, pickle.BUILD),
        *(pickle.EMPTY_DICT, pickle.DICT, pickle.SETITEM, pickle.SETITEMS),
        *(pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS),
        *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
        *(pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING),
        *(pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG, pickle.LONG1),
        *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE),
        *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT),
        *(pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
    )
)


class _Reader(pickle._Unpickler):  # the one in Python: its operations can be chosen
    dispatch = {code: pickle._Unpickler.dispatch[code] for code in OPERATIONS}  # noqa: RUF012

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise PickleError(f"it names {module}.{name}, which no table of numbers needs")
        return ALLOWED[module, name]


def read_pickle(content: bytes) -> Any:
    """Return what a pickle holds: dicts, lists, numbers, and every string and array as below.

    Strings are bytes, as they were in Python 2; arrays are N x M unsigned bytes, read-only, where
    they are values of the outermost dict.

    Raises
    ------
    PickleError
        It is damaged, or holds or calls anything else. Nothing has been called.
    """
    try:
        found = _Reader(io.BytesIO(content), fix_imports=False, encoding="bytes").load()
    except PickleError:
        raise
    except Exception as error:  # each operation has its own way to fail
        raise PickleError(f"damaged, or no such pickle ({type(error).__name__})") from None
    if not isinstance(found, dict):
        raise PickleError(f"it holds a {type(found).__name__}, not a dict")
    return {key: x.array() if isinstance(x, _Array) else x for key, x in found.items()}
