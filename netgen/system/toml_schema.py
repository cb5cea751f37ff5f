"""TOML read by a schema of msgspec's: a mistake is told with its line, and what may be meant."""

from __future__ import annotations

import difflib
import re
import sys
import types
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from netgen.system.files import read_text_file
from netgen.system.text import check_name, printable

if sys.version_info >= (3, 11):
    import tomllib
else:  # Ubuntu 22.04's Python
    import tomli as tomllib

S = TypeVar("S", bound=Struct)
Place = tuple[str | int, ...]  # keys and places in arrays, from the top of a file


class SchemaError(ValueError):
    """A file that is not as its schema says; the message says where, what and what next."""


def read_toml(
    file: Path, schema: type[S], next_step: str, in_words: Mapping[str, str] | None = None
) -> tuple[S, str]:
    """Return what a TOML file holds, and its text.

    Parameters
    ----------
    file, schema
        The file, and the msgspec struct that it should be.
    next_step
        Told when it cannot be read.
    in_words
        Patterns of the schema -> what they allow, as a message says it.

    Raises
    ------
    SchemaError
        It is missing, no TOML, or not as `schema` says: the message names the line, and the known
        key that is most like an unknown one.
    """
    try:
        text = read_text_file(file)
        data = tomllib.loads(text)
    except OSError as error:
        raise SchemaError(f"{file}: {error.strerror}: {next_step}") from None
    except UnicodeDecodeError:
        raise SchemaError(f"{file}: not UTF-8 text: {next_step}") from None
    except RecursionError:
        raise SchemaError(f"{file}: nested too deeply: {next_step}") from None
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(f"{file}: not TOML: {error}: correct it") from None
    except ValueError:  # Python converts no whole number of more than 4,300 digits
        raise SchemaError(f"{file}: it has a number of thousands of digits: correct it") from None
    for path, why in _mistakes(data, schema, ()):
        raise SchemaError(f"{place_in(file, text, path)}: {_said(why, in_words or {})}")
    return msgspec.convert(data, schema), text


def place_in(file: Path, text: str, path: Place) -> str:
    """Return where something is in a TOML file, for a message: file, line and key."""
    dotted = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)[1:]
    line = _line(text, path)
    return f"{file}{f':{line}' if line else ''}{f': {printable(dotted)}' if dotted else ''}"


def _said(why: str, in_words: Mapping[str, str]) -> str:
    for pattern, words in in_words.items():
        why = why.replace(f"Expected `str` matching regex {pattern!r}", f"Expected {words}")
    return why


# ---- what is wrong ------------------------------------------------------------------------------


def _mistakes(value: Any, kind: Any, path: Place) -> Iterator[tuple[Place, str]]:
    """Yield the place and the description of each mistake in `value`, which should be a `kind`."""
    whole, kind = kind, _bare(kind)
    arguments = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        yield from _struct_mistakes(value, kind, path)
    elif get_origin(kind) is dict and isinstance(value, dict):
        for key, each in value.items():
            yield from _leaf_mistakes(key, arguments[0], (*path, key))
            yield from _mistakes(each, arguments[1], (*path, key))
        yield from _leaf_mistakes(value, whole, path)  # how many there may be
    elif get_origin(kind) is tuple and isinstance(value, list) and arguments[-1] is Ellipsis:
        for index, each in enumerate(value):
            yield from _mistakes(each, arguments[0], (*path, index))
        yield from _leaf_mistakes(value, whole, path)
    elif (tagged := _tagged(kind)) and isinstance(value, dict):
        field, structs = tagged
        if value.get(field) in structs:
            yield from _struct_mistakes(value, structs[value[field]], path)
        else:
            yield path, f"give {field} = {_alternatives(structs)}"
    else:
        yield from _leaf_mistakes(value, kind, path)


def _struct_mistakes(value: Any, kind: type[Struct], path: Place) -> Iterator[tuple[Place, str]]:
    if not isinstance(value, dict):
        yield path, "expected a table, of keys and values: correct it"
        return
    hints = get_type_hints(kind, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    tag = kind.__struct_config__.tag_field
    for key, each in value.items():
        if key in fields:
            yield from _mistakes(each, hints[fields[key].name], (*path, key))
        elif key != tag:
            close = difflib.get_close_matches(key, fields, n=1)
            hint = f"do you mean {close[0]!r}?" if close else f"known are {', '.join(fields)}"
            yield (*path, key), f"unknown key: {hint}"
    for name, field in fields.items():
        if field.required and name not in value:
            yield path, f"{name!r} is missing: give it"


def _leaf_mistakes(value: Any, kind: Any, path: Place) -> Iterator[tuple[Place, str]]:
    try:
        if isinstance(value, str):
            check_name(value.replace("\n", " "), "its value")
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield path, f"{str(error).partition(' - at `')[0]}: correct it"
    except ValueError as error:  # of check_name
        yield path, str(error)


def _bare(kind: Any) -> Any:
    """Return a type without None and without what msgspec is told about it, where it holds more."""
    if get_origin(kind) is Annotated and get_origin(get_args(kind)[0]) in (tuple, dict):
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        others = [each for each in get_args(kind) if each is not types.NoneType]
        return _bare(others[0]) if len(others) == 1 else kind
    return kind


def _tagged(kind: Any) -> tuple[str, dict[str, type[Struct]]] | None:
    """Return the key that tells structs of a union apart, and the structs by its values."""
    if get_origin(kind) not in (Union, types.UnionType):
        return None
    structs = [each for each in get_args(kind) if isinstance(each, type)]
    configs = {
        str(each.__struct_config__.tag): each for each in structs if issubclass(each, Struct)
    }
    if len(configs) < len(get_args(kind)):
        return None
    field = next(iter(configs.values())).__struct_config__.tag_field
    return str(field), configs


def _alternatives(names: Mapping[str, object]) -> str:
    return " or ".join(f"{name!r}" for name in names)


# ---- where it is --------------------------------------------------------------------------------


def _line(text: str, path: Place) -> int | None:
    """Return the line of a key: the first that says the longest part of `path`."""
    best, at = 0, None
    header: Place = ()
    counts: dict[Place, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        found = _header(line, counts)
        header = header if found is None else found
        if header != path[: len(header)]:
            continue
        reached = len(header)
        if found is None:
            # What is inside an array in brackets may be on any line: the array's own is told.
            rest = takewhile(lambda key: isinstance(key, str), path[reached:])
            named = len(list(takewhile(partial(_names, line), map(str, rest))))
            reached = reached + named if named else 0
        if reached > best:
            best, at = reached, number
    return at


def _names(line: str, key: str) -> bool:
    return re.search(rf"(^|[\s{{,.\"']){re.escape(key)}[\"']?\s*[=.]", line) is not None


def _header(line: str, counts: dict[Place, int]) -> Place | None:
    """Return the table that a line begins, None for another line; `counts` arrays' tables."""
    if not line.lstrip().startswith("["):
        return None
    try:
        found: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:  # a value's line
        return None
    path: Place = ()
    while found:
        if isinstance(found, list):
            place = counts[path] = counts.get(path, -1) + 1
            path, found = (*path, place), found[0]
        else:
            ((key, found),) = found.items()
            path = (*path, key)
    return path
