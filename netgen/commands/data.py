"""`netgen data`: images and labels in, aligned LMDBs and a ``dataset.toml`` out."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from data_prep.records import Record, Source
    from netgen.dataset import Dataset


@click.group(name="data")
def command() -> None:
    """Turn images and labels into databases that Caffe reads.

    Every source below makes a folder with one LMDB of images and one LMDB of labels a task, for
    training and for test. Record i of each belongs to the same image. Beside them, dataset.toml
    says what is there: give it to the other commands with --dataset.
    """


@command.command("fashion-mnist", short_help="60,000 + 10,000 small photographs of clothes.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The folder to make, for example data/fashion-mnist.",
)
@click.option(
    "--source-folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the four published files are, plain or gzipped.  [default: where Debian's package"
    " dataset-fashion-mnist puts them]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Shuffles the training images; the same seed gives the same files.",
)
@click.option("--force", is_flag=True, help="Replace an older dataset once the new one is whole.")
def fashion_mnist(out: Path, source_folder: Path | None, seed: int, force: bool) -> None:
    """Fashion-MNIST: 60,000 + 10,000 photographs of clothes, 28 x 28, grey.

    Three tasks: the item (10 classes, as published), and its family (6) and season (3), which
    follow from the item as noun and adjective follow from the adjective-noun pair.
    """
    from data_prep import fashion_mnist as source

    _convert(source.fashion_mnist(source_folder or source.PACKAGE_FOLDER), out, seed, force)


def _convert(source: Source, out: Path, seed: int, force: bool) -> None:
    """Convert with a progress bar on a terminal, or a line a split elsewhere; then sum up."""
    from rich.console import Console
    from rich.progress import Progress

    from data_prep.convert import convert

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:

        def track(records: Iterable[Record], split: str, count: int) -> Iterator[Record]:
            if not console.is_terminal:
                click.echo(f"{split}: writing {count:,} images", err=True)
            yield from progress.track(records, count, description=split)

        dataset = convert(source, out, seed, force, track)
    _sum_up(dataset, source, out)


def _sum_up(dataset: Dataset, source: Source, out: Path) -> None:
    from rich.filesize import decimal

    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    images = dataset.images
    click.echo(
        f"{out}: {dataset.train.records:,} training and {dataset.test.records:,} test images of"
        f" {images.channels} x {images.height} x {images.width}, {decimal(size)}"
    )
    for task, names in source.tasks.items():
        shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        click.echo(f"  {task}: {len(names)} classes: {shown}")
    file = shlex.quote(str(out / "dataset.toml"))
    # The paper's stem halves an image twice, and there are three halvings after it.
    stem = " --stem small" if min(images.height, images.width) < 64 else ""
    click.echo(f"Next: netgen build --variant xs --dataset {file}{stem} --out demo")
