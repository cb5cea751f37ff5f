"""`netgen data verify`: whether a dataset holds what is said of it."""

from __future__ import annotations

from pathlib import Path

import click

from netgen.commands.shared_options import table_console

STYLES = {"passed": "green", "FAILED": "bold red", "not checked": "yellow"}
PIPED_WIDTH = 200


@click.command("verify", short_help="Prove that a dataset holds what is said of it.")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, path_type=Path))
@click.option("--quick", is_flag=True, help="Counts, keys and labels only: do not look at images.")
@click.pass_context
def command(context: click.Context, folder: Path, quick: bool) -> None:
    """Prove that a dataset holds what is said of it.

    DIR is a dataset's folder, or its dataset.toml. Looks at each record of each database: whether
    all have the same keys in the same order, counts and labels are those of dataset.toml and
    records.csv, every image decodes and has the size stated, the mean is theirs, and no image is
    in both splits. Exit code 1 when anything is wrong.
    """
    from rich.table import Table

    from data_prep.verify import Verdict, verify
    from netgen.commands.data_progress import watching

    with watching() as watch:
        checks = verify(folder, quick, watch)
    table = Table("", "check", "found", box=None, header_style="bold", pad_edge=False)
    for check in checks:
        table.add_row(
            f"{check.verdict.value}", check.what, check.found, style=STYLES[check.verdict.value]
        )
    table_console(PIPED_WIDTH).print(table)
    failed = sum(check.verdict is Verdict.FAILED for check in checks)
    passed = sum(check.verdict is Verdict.PASSED for check in checks)
    skipped = len(checks) - failed - passed
    click.echo(f"{folder}: {passed} passed, {failed} failed, {skipped} not checked")
    context.exit(1 if failed else 0)
