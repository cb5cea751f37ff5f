"""`netgen page audit`: every claim of the paper with its verdict, to be filtered and linked to."""

from __future__ import annotations

from pathlib import Path

import click

from netgen.commands.audit_options import audit_inputs, input_options
from netgen.commands.page_options import command_line, out_option, write_page
from netgen.commands.terminal_progress import show_work


@click.command("audit", short_help="Show every claim of the paper with its verdict.")
@out_option
@input_options
@click.pass_context
def audit(context: click.Context, out: Path, ontology: Path | None, results: Path | None) -> None:
    """Show what `netgen audit` finds: the paper's sentences beside what was measured.

    Claims are filtered by verdict, section, network and words; FILE#NAME leads to one of them.
    """
    from netgen.audit.readings import readings
    from netgen.audit.rows import audit_as_data
    from netgen.audit.verdicts import ClaimVerdict
    from netgen.audit.verdicts import audit as judged
    from netgen.figures.page.audit_page import audit_page
    from netgen.paper.claims import ARGUMENTS

    with show_work("checking the paper's claims"):
        judgements = judged(audit_inputs(ontology, results))
        data = audit_as_data(judgements, readings(), ARGUMENTS)
    meanings = {verdict.label: verdict.value for verdict in ClaimVerdict}
    write_page(out, audit_page(data, meanings, command_line(context)))
