"""JSON files read by a schema of msgspec's; all that can be wrong with one is a `JsonError`."""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from typing import TypeVar

import msgspec
from msgspec import Struct

from netgen.system.files import read_file

T = TypeVar("T")


class JsonError(ValueError):
    """What is wrong with the content of a JSON file; the message does not name the file."""


class OtherVersionError(JsonError):
    """The file is in a format of another version of netgen; the message says in which."""


class _Versioned(Struct):
    version: int


def read_json(path: str | os.PathLike[str], kind: type[T], version: int | None = None) -> T:
    """Return what a JSON file holds, as a `kind`; a byte order mark is accepted.

    Parameters
    ----------
    path
        The file.
    kind
        A type that msgspec knows.
    version
        What the file's field `version` must be, before anything else in it is read.

    Raises
    ------
    OSError
        As `read_file`.
    OtherVersionError
        It has another version.
    JsonError
        It is not JSON, or not a `kind`.
    """
    return decode_json(read_file(path).removeprefix(BOM_UTF8), kind, version)


def decode_json(content: bytes, kind: type[T], version: int | None = None) -> T:
    """Return what JSON holds, as `read_json` does; raise what it raises of the content."""
    try:
        if version is not None:
            found = msgspec.json.decode(content, type=_Versioned).version
            if found != version:
                raise OtherVersionError(f"format {found}, but this netgen reads {version}")
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JsonError(str(error)) from None
