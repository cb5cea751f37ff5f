"""`netgen data`: turn images and labels into aligned LMDBs and a ``dataset.toml``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from netgen.commands import data_ontology
from netgen.commands.shared_options import table_console

STYLES = {"passed": "green", "FAILED": "bold red", "not checked": "yellow"}
PIPED_WIDTH = 200


class DataCommands(click.Group):
    """A group that imports the sources, and `data_prep` with them, when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        self._add_sources()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command of that name, or None."""
        self._add_sources()
        return super().get_command(ctx, name)

    def _add_sources(self) -> None:
        # NumPy would start threads for products of matrices; making data has none.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from netgen.commands.data_sources import SOURCES

        for source in SOURCES:
            self.add_command(source)


@click.group(name="data", cls=DataCommands)
def command() -> None:
    """Turn images and labels into databases that Caffe reads.

    Every source below makes a folder with one LMDB of images and one LMDB of labels per task, for
    training and for test. Record i of each belongs to the same image. dataset.toml describes
    them: give it to the other commands with --dataset. records.csv lists every image
    in the databases, rejects.csv every image left out and why, and duplicates.csv the images that
    count as the same.
    """


@command.command("verify", short_help="Verify a dataset's databases, record by record.")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, path_type=Path))
@click.option("--quick", is_flag=True, help="Check counts, keys and labels only, not the images.")
@click.pass_context
def verify_dataset(context: click.Context, folder: Path, quick: bool) -> None:
    """Verify a dataset's databases, record by record.

    DIR is a dataset's folder, or its dataset.toml. Checks that all databases have the same keys in
    the same order, that counts and labels are those of dataset.toml and records.csv, that every
    image decodes and has the stated size, that the mean is that of the training images, and that no
    image is in both splits. Exit code 1 when anything is wrong.
    """
    from rich.table import Table

    from data_prep.verify import CheckOutcome, verify
    from netgen.commands.progress_bar import show_progress

    with show_progress() as progress:
        checks = verify(folder, quick, progress)
    table = Table("", "check", "found", box=None, header_style="bold", pad_edge=False)
    for check in checks:
        table.add_row(
            f"{check.outcome.value}", check.what, check.found, style=STYLES[check.outcome.value]
        )
    table_console(PIPED_WIDTH).print(table)
    failed = sum(check.outcome is CheckOutcome.FAILED for check in checks)
    passed = sum(check.outcome is CheckOutcome.PASSED for check in checks)
    skipped = len(checks) - failed - passed
    click.echo(f"{folder}: {passed} passed, {failed} failed, {skipped} not checked")
    context.exit(1 if failed else 0)


command.add_command(data_ontology.command)
