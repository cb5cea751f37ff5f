"""`netgen doctor`: check what this machine needs for training."""

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
    variant_option,
)
from netgen.commands.terminal_progress import show_work
from netgen.network.dataset import DatasetError

if TYPE_CHECKING:
    from netgen.doctor.findings import DoctorFinding

STYLES = {"ok": "green", "warning": "yellow", "missing": "bold red"}


@click.command("doctor", short_help="Check what this machine needs for training.")
@variant_option(
    default="xs",
    show_default=True,
    help="The network to train.",
)
@dataset_option
@click.option("--weights", type=PrintablePath(), metavar="FILE", help="A caffemodel to start from.")
@click.option("--gpu", is_flag=True, help="Require a GPU that Caffe can use.")
@click.option(
    "--out",
    type=PrintablePath(),
    metavar="DIR",
    default=Path(),
    help="The folder for models and runs.  [default: the current folder]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    variant: str, dataset: Path | None, weights: Path | None, gpu: bool, out: Path, as_json: bool
) -> None:
    """Check what this machine needs for training, and name the next step for each lack.

    It checks Python's packages, Caffe, GPUs, memory, disk, databases, weights and permissions. What
    you name with --dataset, --weights or --gpu is needed: if it is missing, the exit code is 1. Any
    other lack is a warning.
    """
    from netgen.doctor.findings import DoctorRequest, Status
    from netgen.doctor.probes import examine

    with suppress(DatasetError):  # it becomes a finding
        if not find_variant(variant, load_dataset(dataset)).row.is_trained:
            what = f"{variant} is not trained: `netgen eval` tests its published weights"
            raise click.BadParameter(what, param_hint="--variant")
    with show_work("looking at packages, Caffe and the machine"):
        findings = list(examine(DoctorRequest(variant, dataset, weights, gpu, out)))
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


def _print(findings: Iterable[DoctorFinding]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for overflow in ("ellipsis", "ellipsis", "fold"):  # never cut a path
        table.add_column(overflow=overflow)
    for finding in findings:
        status = finding.status.value
        table.add_row(Text(status, style=STYLES[status]), finding.about, _text(finding))
    console = table_console(piped_width=10_000)
    console.print(table)


def _text(finding: DoctorFinding) -> str:
    return f"{finding.what}\n  next: {finding.next_step}" if finding.next_step else finding.what
