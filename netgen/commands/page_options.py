"""What the commands of `netgen page` share: the page's file, and how it is told of."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path

import click

from netgen.commands.shared_options import option_words
from netgen.system.files import write_all

SUFFIXES = (".html", ".htm")


class PageFile(click.Path):
    """A file to write a page to."""

    name = "page"

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the path."""
        if Path(str(value)).suffix.lower() not in SUFFIXES:
            self.fail(f"{str(value)!r} must end in .html, so that a browser opens it", param, ctx)
        return Path(str(super().convert(str(value), param, ctx)))


# Files and folders to show; `metavar` says of which kind.
paths_argument = partial(
    click.argument,
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
out_option = click.option(
    "--out",
    type=PageFile(),
    required=True,
    metavar="FILE",
    help="The page's file; its name ends in .html.",
)


def command_line(context: click.Context, *arguments: str) -> str:
    """Return the command that makes the page again."""
    words = ["netgen", "page", str(context.info_name), *arguments, *option_words(context)]
    return shlex.join(words)


def write_page(out: Path, text: str) -> None:
    """Write a page, completely or not at all, and tell where it is.

    Raises
    ------
    OSError
        It could not be written.
    """
    write_all({out: text})
    click.echo(out.as_posix())
