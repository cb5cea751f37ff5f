"""`netgen page`: pages to look at, one HTML file each."""

from __future__ import annotations

import click

from netgen.commands.page_audit import audit
from netgen.commands.page_network import network
from netgen.commands.page_results import results
from netgen.commands.page_run import run
from netgen.commands.page_study import study


@click.group(
    "page", short_help="Make pages to look at: networks, audit, trainings, results, studies."
)
def command() -> None:
    """Make a page to look at: one HTML file, which loads nothing and needs no server.

    It can be opened from the disk, without network, printed, and read without JavaScript.
    """


for kind in (network, audit, run, results, study):
    command.add_command(kind)
