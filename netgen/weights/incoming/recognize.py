"""Tell by its content what program wrote a file of weights, and read it.

Nothing that a file holds is executed: HDF5 is read by h5py, safetensors by its library, ONNX
without the files that it may name, and what torch pickled with `weights_only`.
"""

from __future__ import annotations

import importlib.util
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from netgen.caffe.caffemodel_check import Caffemodel, read_checked
from netgen.system.files import MODELS, check_regular, read_file
from netgen.system.text import listed, printable
from netgen.weights.incoming.units import Foreign, ForeignError, MissingError, Style

HDF5, ZIP, PICKLE = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x80"
ONNX = b"\x08"  # field 1 is a number, where a caffemodel's is its name
START = 16  # bytes that tell
ENDINGS = (".onnx", ".h5", ".pth", ".safetensors", ".caffemodel")  # of files in archives


def read_source(path: str | os.PathLike[str], style: Style | None) -> Caffemodel | Foreign:
    """Read a caffemodel, or the ResNet-50 of another program.

    Parameters
    ----------
    path
        The file; its name does not matter.
    style
        What a file of torch's or of ONNX does not say itself.

    Raises
    ------
    SchemaError, CaffemodelError
        A caffemodel that cannot be used.
    ForeignError
        Another file that cannot be used, or what reads it is not installed.
    """
    file = os.fspath(path)
    found = _kind(file)
    if found is None:
        read = read_checked(path)
        if style is not None:
            raise ForeignError(f"{file}: a caffemodel, which has one style only: omit --style")
        return read
    to_install, package, reader = found
    if importlib.util.find_spec(package) is None:
        raise MissingError(file, package, to_install)
    try:
        content = read_file(path, MODELS)
    except OSError as error:
        raise ForeignError(f"{file}: {error.strerror}: check the path") from None
    return reader(file, content, style)


def is_converted(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is one of another program than Caffe, by its first bytes."""
    return _kind(os.fspath(path)) is not None


Reader = Callable[[str, bytes, "Style | None"], Foreign]


def _kind(file: str) -> tuple[str, str, Reader] | None:
    """Return what to install, its package and what reads a file; None for a caffemodel."""
    try:
        check_regular(file)
        with Path(file).open("rb") as opened:
            start = opened.read(START)
    except OSError:
        return None  # a caffemodel's reader says why
    if start[7:9] == b"\0{":  # a length of 8 bytes, any of them, and what is in braces
        return "safetensors", "safetensors", _safetensors
    if start.startswith(HDF5):
        return "h5py", "h5py", _keras
    if start.startswith(ZIP):
        _check_archive(file)
    if start.startswith((ZIP, PICKLE)):
        return "'netgen[torch]'", "torch", _torch
    if start.startswith(ONNX):
        return "'netgen[onnx]'", "onnx", _onnx
    return None


def _check_archive(file: str) -> None:
    """Refuse a zip archive that torch did not write, such as a package that holds weights."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            size = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        return  # torch says that it is damaged
    if not any(name.split("/")[-1] == "data.pkl" for name in names):
        inside = [name for name in names if name.endswith(ENDINGS)] or names
        raise ForeignError(
            f"{file}: a zip archive, not torch's: unpack it, and give the weights that it holds:"
            f" {printable(listed(inside))}"
        )
    if size > MODELS:
        raise ForeignError(
            f"{file}: a zip archive of {size / 2**30:,.0f} GiB, unpacked: is it the right file?"
        )
    if len({name.casefold() for name in names}) < len(names):  # torch takes either of two
        raise ForeignError(f"{file}: a zip archive with two files of one name: fetch it again")


def _keras(file: str, content: bytes, style: Style | None) -> Foreign:
    from netgen.weights.incoming.keras_source import read_keras

    return read_keras(file, content, style)


def _torch(file: str, content: bytes, style: Style | None) -> Foreign:
    from netgen.weights.incoming.torch_source import read_torch

    return read_torch(file, content, style)


def _safetensors(file: str, content: bytes, style: Style | None) -> Foreign:
    from netgen.weights.incoming.torch_source import read_safetensors

    return read_safetensors(file, content, style)


def _onnx(file: str, content: bytes, style: Style | None) -> Foreign:
    from netgen.weights.incoming.onnx_source import read_onnx

    return read_onnx(file, content, style)
