"""`netgen doctor`: what is there to train with, what is not, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.shared_options import (
    PrintablePath,
    dataset_option,
    find_variant,
    load_dataset,
    table_console,
)
from netgen.network.dataset import DatasetError

if TYPE_CHECKING:
    from netgen.doctor.probe import Finding

STYLES = {"ok": "green", "warning": "yellow", "missing": "bold red"}


@click.command("doctor", short_help="Tell what is there to train with, and what is not.")
@click.option(
    "--variant", metavar="NAME", default="xs", show_default=True, help="The network to train."
)
@dataset_option
@click.option("--weights", type=PrintablePath(), metavar="FILE", help="A caffemodel to start from.")
@click.option("--gpu", is_flag=True, help="Train on this machine's GPU.")
@click.option(
    "--out",
    type=PrintablePath(),
    metavar="DIR",
    default=Path(),
    help="Where models and runs go.  [default: the current folder]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    variant: str, dataset: Path | None, weights: Path | None, gpu: bool, out: Path, as_json: bool
) -> None:
    """Examine this machine, and say for whatever is wrong what to do next.

    What you name is needed (a --dataset, --weights, the --gpu): the exit code is 1 if something
    needed is missing. Of the rest, a lack is a warning.
    """
    from netgen.doctor.probe import Asked, Status
    from netgen.doctor.probes import examine

    with suppress(DatasetError):  # which is a finding
        if not find_variant(variant, load_dataset(dataset)).row.is_trained:
            what = f"{variant} is not trained: `netgen eval` tests it as it was published"
            raise click.BadParameter(what, param_hint="--variant")
    findings = list(examine(Asked(variant, dataset, weights, gpu, out)))
    missing, warnings = (
        sum(finding.status is status for finding in findings)
        for status in (Status.MISSING, Status.WARNING)
    )
    if as_json:
        rows = [asdict(finding) for finding in findings]
        click.echo(json.dumps({"missing": missing, "findings": rows}, indent=2))
    else:
        _print(findings)
        click.echo(f"\n{missing} missing, {warnings} warnings")
    if missing:
        raise SystemExit(1)


def _print(findings: Iterable[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for overflow in ("ellipsis", "ellipsis", "fold"):  # a path is of use only whole
        table.add_column(overflow=overflow)
    for finding in findings:
        status = finding.status.value
        table.add_row(Text(status, style=STYLES[status]), finding.about, _text(finding))
    console = table_console(piped_width=10_000)
    console.print(table)


def _text(finding: Finding) -> str:
    return f"{finding.what}\n  next: {finding.next_step}" if finding.next_step else finding.what
