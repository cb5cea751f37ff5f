"""The options that every source of `netgen data` has.

A source's command is decorated with `making_options`, is given them as one `options`, and ends with
`data_making.make(source, options)`.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
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


OPTIONS = (
    click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        required=True,
        help="The folder to make, for example data/mine.",
    ),
    click.option(
        "--size",
        callback=_size,
        metavar="N|HEIGHTxWIDTH",
        help="Every image is resized to this.  [default: 224; for a source whose images all have"
        " one size, that]",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        show_default=True,
        help="Decides the split and the order; the same seed gives the same files.",
    ),
    click.option(
        "--encoded",
        type=click.Choice(["png", "jpeg"]),
        help="Keep images in this format instead of as raw pixels: smaller, but Caffe decodes them"
        " in every epoch.",
    ),
    click.option(
        "--lenient", is_flag=True, help="Keep what decodes of truncated and corrupt images."
    ),
    click.option(
        "--rotate", is_flag=True, help="Apply EXIF orientations, which OpenCV of 2016 did not."
    ),
    click.option(
        "--group-duplicates",
        is_flag=True,
        help="Keep identical images on one side of the split instead of only reporting them.",
    ),
    click.option(
        "--perceptual",
        type=click.IntRange(0, 8),
        metavar="BITS",
        help="Also take images for identical whose perceptual hashes differ in at most BITS of 64"
        " (pip install 'netgen[perceptual]').",
    ),
    click.option(
        "--jobs",
        type=click.IntRange(1),
        default=lambda: len(os.sched_getaffinity(0)),
        show_default="this machine's cores",
        help="Images read at the same time.",
    ),
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Have the workers of this Dask scheduler read the images, for example tcp://head:8786"
        " (pip install 'netgen[cluster]'). They need netgen, and the same files at the same paths.",
    ),
    click.option("--force", is_flag=True, help="Replace an older dataset once the new is whole."),
    click.option(
        "--resume", is_flag=True, help="Go on where a killed run with the same options ended."
    ),
    click.option(
        "--dry-run", is_flag=True, help="Say what would be made and left out; write nothing."
    ),
)


def _check_who_works(context: click.Context) -> None:
    given = context.get_parameter_source("jobs") is ParameterSource.COMMANDLINE
    if given and context.params["scheduler"]:
        raise click.UsageError(
            "--jobs counts this machine's threads, and with --scheduler others do the reading: give"
            " one of them."
        )


def _check_hashing(context: click.Context) -> None:
    if context.params["perceptual"] is not None and find_spec("imagehash") is None:
        raise click.UsageError("--perceptual needs imagehash: pip install 'netgen[perceptual]'.")


def making_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option of this module, gathered in one argument `options`."""

    @functools.wraps(command)
    def gathered(**arguments: Any) -> None:
        from data_prep.request import Options

        _check_who_works(click.get_current_context())
        _check_hashing(click.get_current_context())
        names = Options.__dataclass_fields__.keys()
        options = Options(**{name: arguments.pop(name) for name in names})
        command(**arguments, options=options)

    decorated: Callable[..., None] = gathered
    for option in reversed(OPTIONS):
        decorated = option(decorated)
    return decorated
