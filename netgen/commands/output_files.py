"""What a command must not write over: what it reads, and files of kinds that it never writes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import click

from netgen.system.files import check_writable

STANDARD_OUTPUT = "-"
# Endings of files that took long to make or to write, and what they hold.
KEPT = {
    ".caffemodel": "weights",
    ".solverstate": "the state of a training",
    ".prototxt": "a network or a solver",
    ".toml": "a dataset or a study",
    ".mdb": "a database",
}


def check_outputs(outputs: Mapping[str, Path | None], made: Collection[str] = ()) -> None:
    """Check the files that a command will write, before it reads anything.

    Parameters
    ----------
    outputs
        Option -> the file that it names, or None.
    made
        Endings of `KEPT` that the command itself gives to files, and so replaces.

    Raises
    ------
    click.UsageError
        A file is there that this command never wrote; two options name the same file; or one names
        the standard output.
    OSError
        A file could not be written; its `filename` is the path.
    """
    named: dict[str, str] = {}
    for option, file in outputs.items():
        if file is None:
            continue
        if str(file) == STANDARD_OUTPUT:
            raise click.UsageError(f"{option} -: the standard output takes no such file: name one")
        kind = KEPT.get(file.suffix.lower())
        if kind and file.suffix.lower() not in made and file.exists():
            raise click.UsageError(
                f"{file} is there already, and by its ending holds {kind}: give {option} another"
                " file"
            )
        other = named.setdefault(os.path.realpath(file), option)
        if other != option:
            raise click.UsageError(
                f"{other} and {option} both name {file}: give each a file of its own"
            )
        check_writable(file)


def check_not_read(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None]) -> None:
    """Check that no file that a command will write is one that it reads.

    Raises
    ------
    click.UsageError
        One is, by whatever name.
    """
    there = {option: file for option, file in outputs.items() if file and file.exists()}
    for file in inputs if there else ():
        for option, output in there.items():
            if file and file.exists() and output.samefile(file):
                raise click.UsageError(
                    f"{output} is a file that this command reads: give {option} another file"
                )
