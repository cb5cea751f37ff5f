"""The options that every source of `netgen data` has: one for each field of `DataOptions`.

A source's command is a `SourceCommand`, which loads `data_prep` when it is called, and ends with
`data_making.make(source, options)`.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import MISSING, Field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource


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
    "encoded": {"type": click.Choice(["png", "jpeg"])},
    "perceptual": {"type": click.IntRange(0, 8), "metavar": "BITS"},
    "jobs": {
        "type": click.IntRange(1),
        "default": lambda: len(os.sched_getaffinity(0)),
        "show_default": "this machine's cores",
    },
    "scheduler": {"metavar": "ADDRESS"},
}


@functools.cache
def _options() -> tuple[click.Option, ...]:
    from data_prep.request import DataOptions

    return tuple(_option(field) for field in fields(DataOptions))


def _option(field: Field[Any]) -> click.Option:
    default = {"required": True} if field.default is MISSING else {"default": field.default}
    settings = default | SETTINGS.get(field.name, {"is_flag": True})
    name = f"--{field.name.replace('_', '-')}"
    return click.Option([name], help=field.metadata["help"], **settings)


def _check_readers(context: click.Context) -> None:
    given = context.get_parameter_source("jobs") is ParameterSource.COMMANDLINE
    if given and context.params["scheduler"]:
        raise click.UsageError(
            "--jobs counts this machine's threads, and with --scheduler others do the reading: give"
            " one of them."
        )


def _check_hashing(context: click.Context) -> None:
    if context.params["perceptual"] is not None and find_spec("imagehash") is None:
        raise click.UsageError("--perceptual needs imagehash: pip install 'netgen[perceptual]'.")


class SourceCommand(click.Command):
    """The command of a source: its callback gets the fields of `DataOptions` as one `options`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters, and an option for every field."""
        *own, help_option = super().get_params(ctx)
        return [*own, *_options(), help_option]

    def invoke(self, ctx: click.Context) -> object:
        """Gather the options and call the command."""
        from data_prep.request import DataOptions

        _check_readers(ctx)
        _check_hashing(ctx)
        given = {field.name: ctx.params.pop(field.name) for field in fields(DataOptions)}
        ctx.params["options"] = DataOptions(**given)
        return super().invoke(ctx)
