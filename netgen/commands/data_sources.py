"""The sources of `netgen data`: images in folders and lists, published datasets, other datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.data_making import make
from netgen.commands.data_options import dataset_options
from netgen.commands.number_types import Finite
from netgen.commands.shared_options import refuse_given

if TYPE_CHECKING:
    from data_prep.request import DataOptions
    from data_prep.resampled import Division


class ListedFile(click.Path):
    """A file that is there; not the standard input, which --resume could not read again."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path."""
        if str(value) == "-":
            self.fail("-: the standard input is not read here: name a file", param, ctx)
        return Path(str(super().convert(value, param, ctx)))


FILE = ListedFile()
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("folder", short_help="Convert your images, one folder per class.")
@click.argument("root", type=FOLDER)
@click.option("--task", default="class", show_default=True, help="The name of the task.")
@dataset_options
def folder(root: Path, task: str, options: DataOptions) -> None:
    """Make one task from folders: each folder in ROOT is a class, with all images below it.

    For several tasks, list the images in a file: see `netgen data csv`.
    """
    from data_prep.class_folders import class_folders

    if options.out.absolute().resolve().is_relative_to(root.resolve()):
        raise click.UsageError(
            f"--out {options.out} is in {root}, where every folder is a class: name another place"
        )
    make(class_folders(root, task), options)


@click.command("csv", short_help="Convert your images, listed in a file, one column per task.")
@click.argument("file", type=FILE)
@click.option(
    "--root", type=FOLDER, help="The folder that the paths start in.  [default: the file's]"
)
@click.option(
    "--classes",
    type=FOLDER,
    help="A folder with TASK.txt for every task: class names, one per line, in label order."
    "  [default: the values in the columns, sorted]",
)
@dataset_options
def csv(file: Path, root: Path | None, classes: Path | None, options: DataOptions) -> None:
    """Make any number of tasks from a list: FILE has images and their classes.

    Its first line names the columns: path, one per task, and split (train or test) if the split is
    given:

    \b
        path,noun,adj
        img/001.jpg,dog,happy
        img/002.jpg,sky,stormy
    """  # noqa: D301 - click wants the backspace itself
    from data_prep.csv_file import csv_file

    make(csv_file(file, root, classes), options)


@click.command("mtvso", short_help="Convert the paper's images, one folder per adjective_noun.")
@click.argument("images", type=FOLDER)
@click.option(
    "--labels",
    type=FOLDER,
    help="The folder of the authors' mtvso_anplabels.txt, mtvso_nounlabels.txt and"
    " mtvso_adjlabels.txt.  [default: the classes are the folders' names]",
)
@click.option("--train", type=FILE, help="Training images, one per line: path anp noun adj.")
@click.option("--test", type=FILE, help="Test images, likewise.")
@dataset_options
def mtvso(
    images: Path, labels: Path | None, train: Path | None, test: Path | None, options: DataOptions
) -> None:
    """Make the paper's three tasks, noun, adj and anp (the pair), from IMAGES/ADJECTIVE_NOUN/.

    With --train and --test the split is that of the lists, and images not listed are left out;
    their classes are names, or labels from 0 in the order of the lists of --labels.
    """
    from data_prep.mtvso import mtvso as source

    if (train is None) != (test is None):
        raise click.UsageError("--train and --test go together: give both lists, or none.")
    splits = (train, test) if train and test else None
    make(source(images, labels, splits), options)


@click.command(
    "fashion-mnist", short_help="Convert Fashion-MNIST: 70,000 small photographs of clothes."
)
@click.option(
    "--source-folder",
    type=FOLDER,
    help="Where the four published files are, plain or gzipped.  [default: where Debian's package"
    " dataset-fashion-mnist puts them]",
)
@dataset_options
def fashion_mnist(source_folder: Path | None, options: DataOptions) -> None:
    """Make three tasks from Fashion-MNIST: 60,000 + 10,000 grey photographs of clothes, 28 x 28.

    The tasks are the item (10 classes, as published), and its family (6) and season (3), which
    follow from the item as noun and adjective follow from the adjective-noun pair. The split is the
    published one.
    """
    from data_prep import fashion_mnist as source

    make(source.fashion_mnist(source_folder or source.PACKAGE_FOLDER), options)


@click.command(
    "fashion-conditions", short_help="Convert Fashion-MNIST as adjective-noun pairs: dark_coat."
)
@click.option(
    "--source-folder",
    type=FOLDER,
    help="As for fashion-mnist.",
)
@click.option(
    "--unused",
    is_flag=True,
    help="Make the one task item of the 58,216 photographs that this leaves, as they are: to train"
    " a network that others start from.",
)
@dataset_options
def fashion_conditions(source_folder: Path | None, unused: bool, options: DataOptions) -> None:
    """Make the paper's three tasks from Fashion-MNIST: photographs of clothes under conditions.

    The noun is the item (10 classes), the adjective what is wrong with the picture (11: dark,
    blurred, tilted, ...), the pair both (66 of 110). As in VSO, not every adjective goes with every
    noun, and few pairs have most of the images. 11,784 photographs, each used once; the split is
    drawn as for the paper's. docs/fashion-conditions.md says how hard they are.
    """
    from data_prep import fashion_conditions as source
    from data_prep.fashion_mnist import PACKAGE_FOLDER

    read = source.unused_photographs if unused else source.fashion_conditions
    make(read(source_folder or PACKAGE_FOLDER), options)


@click.command("cifar100", short_help="Convert CIFAR-100: 60,000 small photographs of 100 things.")
@click.argument("archive", type=click.Path(exists=True, path_type=Path))
@dataset_options
def cifar100(archive: Path, options: DataOptions) -> None:
    """Make two tasks from CIFAR-100: 50,000 + 10,000 colour photographs, 32 x 32.

    ARCHIVE is the published cifar-100-python.tar.gz, or the folder in it. Nothing is unpacked onto
    the disk, and a pickle in it that would call a function is refused.

    The tasks are fine (100 classes) and coarse (20, of five each), which the paper names as another
    possibility (section 5). The split is the published one.
    """
    from data_prep.cifar100 import Cifar100

    images = Cifar100(archive)
    source = images.source
    origin = "the published archive" if images.content.published else "not the published archive"
    click.echo(f"{archive}: {origin}", err=True)
    make(source, options)


@click.command("resample", short_help="Make a dataset again: reordered, split anew, or smaller.")
@click.argument("dataset", type=FILE)
@click.option(
    "--split",
    type=click.Choice(["keep", "anew", "training"]),
    default="keep",
    show_default=True,
    help="keep: images stay for training or test; anew: the seed draws the split; training: it"
    " draws one of the training images alone, to choose with.",
)
@click.option(
    "--share",
    type=Finite(0, 1, min_open=True),
    default=1.0,
    metavar="X",
    help="Keep this share of each class's training images, of those with --split keep.",
)
@dataset_options
def resample(dataset: Path, split: Division, share: float, options: DataOptions) -> None:
    """Make a dataset again from the databases of another one, DATASET, its dataset.toml.

    The same images under the same names, with their pixels as stored, in the order of --seed. The
    images' files are not needed. A study (`netgen study`) has databases of its own for each seed.
    """
    from dataclasses import replace

    from data_prep.resampled import resampled
    from netgen.network.dataset import read_dataset

    why = f"was decided when {dataset} was made, whose pixels are final: omit it"
    refuse_given(("rotate", "lenient"), why)
    read = read_dataset(dataset)
    source = resampled(read, dataset.parent, split, share, options.seed)
    images = read.images
    # Pixels are final already; these are for photographs that are to be seen as those were.
    make(source, replace(options, rotate=images.rotate, lenient=images.lenient))


SOURCES = (fashion_mnist, fashion_conditions, folder, csv, mtvso, cifar100, resample)
