"""`netgen data`: images and labels in, aligned LMDBs and a ``dataset.toml`` out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands import data_ontology, data_sources, data_verify
from netgen.commands.data_making import make
from netgen.commands.data_options import making_options

if TYPE_CHECKING:
    from data_prep.request import Options


@click.group(name="data")
def command() -> None:
    """Turn images and labels into databases that Caffe reads.

    Every source below makes a folder with one LMDB of images and one LMDB of labels a task, for
    training and for test. Record i of each belongs to the same image. Beside them, dataset.toml
    says what is there: give it to the other commands with --dataset. records.csv lists every image
    that is in the databases, rejects.csv every one that is not and why, and duplicates.csv those
    that count as the same.
    """


@command.command("fashion-mnist", short_help="60,000 + 10,000 small photographs of clothes.")
@click.option(
    "--source-folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the four published files are, plain or gzipped.  [default: where Debian's package"
    " dataset-fashion-mnist puts them]",
)
@making_options
def fashion_mnist(source_folder: Path | None, options: Options) -> None:
    """Fashion-MNIST: 60,000 + 10,000 photographs of clothes, 28 x 28, grey.

    Three tasks: the item (10 classes, as published), and its family (6) and season (3), which
    follow from the item as noun and adjective follow from the adjective-noun pair. The split is the
    published one.
    """
    from data_prep import fashion_mnist as source

    make(source.fashion_mnist(source_folder or source.PACKAGE_FOLDER), options)


command.add_command(data_sources.folder)
command.add_command(data_sources.csv)
command.add_command(data_sources.mtvso)
command.add_command(data_sources.command)
command.add_command(data_ontology.command)
command.add_command(data_verify.command)
