"""`netgen data folder`, `csv`, `mtvso` and `cifar100`: images in folders, lists and an archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.data_making import make
from netgen.commands.data_options import making_options

if TYPE_CHECKING:
    from data_prep.request import Options


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


# ---- `netgen data folder`, `csv` and `mtvso`: images that lie in folders ------------------------

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("folder", short_help="Your images, one folder a class.")
@click.argument("root", type=FOLDER)
@click.option("--task", default="class", show_default=True, help="What to call the one task.")
@making_options
def folder(root: Path, task: str, options: Options) -> None:
    """One task: each folder in ROOT is a class, all images in it, however deep, are the class's.

    For several tasks, list the images in a file: netgen data csv.
    """
    from data_prep.folder import folders

    make(folders(root, task), options)


@click.command("csv", short_help="Your images, listed in a file with a column a task.")
@click.argument("file", type=FILE)
@click.option(
    "--root", type=FOLDER, help="The folder that the paths start in.  [default: the file's]"
)
@click.option(
    "--classes",
    type=FOLDER,
    help="A folder with TASK.txt for every task: class names, one a line, in label order."
    "  [default: what stands in the columns, sorted]",
)
@making_options
def csv(file: Path, root: Path | None, classes: Path | None, options: Options) -> None:
    """Any number of tasks: FILE lists images and their classes.

    Its first line names the columns: path, one a task, and split (train or test) if the split is
    given:

    \b
        path,noun,adj
        img/001.jpg,dog,happy
        img/002.jpg,sky,stormy
    """  # noqa: D301 - click wants the backspace itself
    from data_prep.csv_file import csv_file

    make(csv_file(file, root, classes), options)


@click.command("mtvso", short_help="The paper's images, a folder each adjective_noun.")
@click.argument("images", type=FOLDER)
@click.option(
    "--labels",
    type=FOLDER,
    help="The folder of the authors' mtvso_anplabels.txt, mtvso_nounlabels.txt and"
    " mtvso_adjlabels.txt.  [default: classes are what the folders are called]",
)
@click.option("--train", type=FILE, help="Training images, a line each: path anp noun adj.")
@click.option("--test", type=FILE, help="Test images, likewise.")
@making_options
def mtvso(
    images: Path, labels: Path | None, train: Path | None, test: Path | None, options: Options
) -> None:
    """Three tasks, as in the paper: noun, adj and anp, the pair, from IMAGES/ADJECTIVE_NOUN/.

    With --train and --test the split is that of the lists, and images not listed are left out; the
    classes in them are names, or labels from 0 in the order of the lists of --labels.
    """
    from data_prep.mtvso import mtvso as source

    if (train is None) != (test is None):
        raise click.UsageError("--train and --test go together: give both lists, or none.")
    splits = (train, test) if train and test else None
    make(source(images, labels, splits), options)
