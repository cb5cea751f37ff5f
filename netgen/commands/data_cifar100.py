"""`netgen data cifar100`: CIFAR-100 from its published archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.data_making import make
from netgen.commands.data_options import making_options

if TYPE_CHECKING:
    from data_prep.options import Options


@click.command("cifar100", short_help="50,000 + 10,000 small photographs of 100 things.")
@click.argument("archive", type=click.Path(exists=True, path_type=Path))
@making_options
def command(archive: Path, options: Options) -> None:
    """CIFAR-100: 50,000 + 10,000 photographs, 32 x 32, in colour.

    ARCHIVE is the published cifar-100-python.tar.gz, or the folder in it. Nothing is unpacked onto
    the disk, and a pickle in it that would call anything is refused.

    Two tasks: fine (100 classes) and coarse (20, of five each), which the paper names as another
    choice (section 5). The split is the published one.
    """
    from data_prep.cifar100 import Cifar100

    images = Cifar100(archive)
    source = images.source
    whose = "the published archive" if images.content.published else "not the published archive"
    click.echo(f"{archive}: {whose}", err=True)
    make(source, options)
