"""The options that every source of `netgen data` has: one for each field of `DataOptions`.

A source's command is decorated with `dataset_options`, gets them as one argument `options`, and
ends with `data_making.make(source, options)`.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from data_prep.request import DataOptions, Encoding


def _size(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Return height and width of ``224`` or ``HEIGHTxWIDTH``."""
    if value is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is neither a number of pixels nor HEIGHTxWIDTH.")
    return int(found[1]), int(found[2] or found[1])


# Settings of click that a field does not have; fields without settings are flags.
SETTINGS: dict[str, dict[str, Any]] = {
    "out": {"type": click.Path(file_okay=False, path_type=Path)},
    "size": {"callback": _size, "metavar": "N|HEIGHTxWIDTH"},
    "seed": {"type": click.IntRange(0, 2**32 - 1), "show_default": True},
    "encoded": {"type": click.Choice(get_args(Encoding))},
    "perceptual": {"type": click.IntRange(0, 8), "metavar": "BITS"},
    "jobs": {
        "type": click.IntRange(1),
        "default": lambda: len(os.sched_getaffinity(0)),
        "show_default": "this machine's cores",
    },
    "scheduler": {"metavar": "ADDRESS"},
}

# Options that are not named after their field alone.
NAMES = {"group_duplicates": "--group-duplicates/--split-duplicates"}


def _option(field: Field[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    default = {"required": True} if field.default is MISSING else {"default": field.default}
    settings = default | SETTINGS.get(field.name, {"is_flag": True})
    name = NAMES.get(field.name, f"--{field.name.replace('_', '-')}")
    return click.option(name, help=field.metadata["help"], **settings)


def _check_readers(context: click.Context) -> None:
    given = context.get_parameter_source("jobs") is ParameterSource.COMMANDLINE
    if given and context.params["scheduler"]:
        raise click.UsageError(
            "--jobs sets this machine's threads, but with --scheduler other machines read: give"
            " only one of them."
        )


def _check_hashing(context: click.Context) -> None:
    if context.params["perceptual"] is not None and find_spec("imagehash") is None:
        raise click.UsageError("--perceptual needs imagehash: pip install 'netgen[perceptual]'.")


def dataset_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every field of `DataOptions`, and these as one argument."""

    @functools.wraps(command)
    def gathered(**arguments: Any) -> None:
        _check_readers(click.get_current_context())
        _check_hashing(click.get_current_context())
        given = {field.name: arguments.pop(field.name) for field in fields(DataOptions)}
        command(**arguments, options=DataOptions(**given))

    decorated: Callable[..., None] = gathered
    for field in reversed(fields(DataOptions)):
        decorated = _option(field)(decorated)
    return decorated
