"""Options and tables that several commands share."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.network.dataset import MTVSO, Dataset, read_dataset
from netgen.network.variants import Variant, find

if TYPE_CHECKING:
    from rich.console import Console


class PrintablePath(click.Path):
    """A path that can be written into a file's comment: without line breaks, which would end it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path."""
        if not str(value).isprintable():
            self.fail(f"{str(value)!r} has characters that cannot be printed.", param, ctx)
        return Path(str(super().convert(value, param, ctx)))


dataset_option = click.option(
    "--dataset",
    type=PrintablePath(dir_okay=False),
    metavar="FILE",
    help="A dataset.toml.  [default: the paper's dataset]",
)


def load_dataset(file: Path | None) -> Dataset:
    """Return the dataset of a ``dataset.toml``, or the paper's."""
    return read_dataset(file) if file else MTVSO


def find_variant(name: str, dataset: Dataset) -> Variant:
    """Return the variant of that name; an unknown name is a usage error."""
    try:
        return find(name, [task.name for task in dataset.tasks])
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--variant") from None


def table_console(piped_width: int) -> Console:
    """Return a console for tables: as wide as the terminal, else as `piped_width` says.

    Without it, rich would fold piped output, which other programs read, at 80 columns.
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, markup=False, width=piped_width)


def print_table(rows: Sequence[dict[str, str]]) -> None:
    """Print `rows`, each a column's heading -> text, as a table; plain when not a terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    name, *others = rows[0]
    table.add_column(name, no_wrap=True, overflow="fold")  # a name is to be copied: whole
    for heading in others:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    # Otherwise rich would cut piped output, which other programs read, at 80 columns.
    console = Console()
    console.print(table, soft_wrap=not console.is_terminal)


def differs(file: Path, text: str) -> bool:
    """Return whether `file` lacks or differs from `text`; print the difference."""
    on_disk = file.read_bytes() if file.exists() else b""
    if on_disk == text.encode():
        return False
    sys.stdout.writelines(
        difflib.unified_diff(
            on_disk.decode(errors="backslashreplace").splitlines(keepends=True),
            text.splitlines(keepends=True),
            f"{file} (on disk)",
            f"{file} (as made now)",
        )
    )
    return True


# ---- options that `netgen eval` and `netgen predict` share: a network, its weights, an engine ---

Command = Callable[..., Any]
READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


def newest_of_run(_ctx: click.Context, _param: click.Parameter, path: Path) -> Path:
    """Return the caffemodel: of a run's folder, its newest whole snapshot.

    Not its best one, because the test images chose it.
    """
    if not path.is_dir():
        return path
    from netgen.training.run_folder import RunFolder
    from netgen.training.snapshots import newest_whole

    snapshot = newest_whole(
        RunFolder(path).snapshots, lambda message: click.echo(message, err=True)
    )
    if snapshot is None:
        raise click.BadParameter(f"{path}: a folder without a snapshot of `netgen train`")
    return snapshot.model


def deployed_network_options(command: Command) -> Command:
    """Add to a command the options that say which network runs, and on what."""
    options = (
        click.option(
            "--variant", required=True, metavar="NAME", help="The network: see `netgen list`."
        ),
        click.option(
            "--weights",
            type=click.Path(exists=True, path_type=Path),
            callback=newest_of_run,
            required=True,
            metavar="FILE|RUN",
            help="A caffemodel, or the folder of a `netgen train`: its newest snapshot.",
        ),
        dataset_option,
        click.option(
            "--net",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="The network's deploy prototxt.  [default: models/NAME/deploy.prototxt]",
        ),
        click.option(
            "--engine",
            type=click.Choice(["caffe", "opencv"]),
            default="caffe",
            show_default=True,
            help="What runs the network; OpenCV needs no Caffe and no GPU.",
        ),
        click.option(
            "--gpu",
            type=click.IntRange(min=0),
            metavar="N",
            help="Run Caffe on this GPU.  [default: on the CPU]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def deploy_file(net: Path | None, variant: str) -> Path:
    """Return the deploy prototxt: the one named, else where `netgen build` writes it."""
    file = net or Path("models") / variant / "deploy.prototxt"
    if not file.is_file():
        raise click.BadParameter(
            f"{file} does not exist: name the deploy.prototxt that `netgen build` wrote for these"
            " weights",
            param_hint="--net",
        )
    return file
