"""`netgen page results`: what `netgen eval` measured, beside the paper's Table 2."""

from __future__ import annotations

from pathlib import Path

import click

from netgen.commands.page_options import command_line, out_option, write_page


@click.command("results", short_help="Show test results: Table 2, classes, confusions.")
@click.argument(
    "paths",
    metavar="RESULT_OR_FOLDER...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@out_option
@click.pass_context
def results(context: click.Context, paths: tuple[Path, ...], out: Path) -> None:
    """Show results of `netgen eval`: what was measured beside what the paper's Table 2 prints.

    RESULT_OR_FOLDER is a file that `netgen eval --out` wrote, or a folder with such files. Networks
    that were tested on the same images stand beside each other, class by class.
    """
    from netgen.figures.page.paged_results import read_paged_results
    from netgen.figures.page.results_page import results_page

    read = read_paged_results(paths)
    write_page(out, results_page(read, command_line(context, *map(str, paths))))
