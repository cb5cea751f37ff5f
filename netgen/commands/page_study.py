"""`netgen page study`: a study's answer, its sentences with their intervals, its map and curves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from netgen.commands.page_options import command_line, out_option, write_page
from netgen.commands.shared_options import STUDY_TOML, PrintablePath, with_options
from netgen.commands.study import LENGTH, words_of


def length_options(called: Callable[..., None]) -> Callable[..., None]:
    """Add the options with which a study was run that is longer or shorter than its file says."""
    return with_options(called, *LENGTH)


@click.command("study", short_help="Show a study: its answer, intervals, map and curves.")
@click.argument("file", metavar="STUDY", type=STUDY_TOML)
@out_option
@click.option(
    "--results",
    type=PrintablePath(dir_okay=False),
    metavar="FILE",
    help="What `netgen study report` wrote.  [default: results.json beside STUDY]",
)
@length_options
@click.pass_context
def study(
    context: click.Context,
    file: Path,
    out: Path,
    results: Path | None,
    seeds: int | None,
    iterations: int | None,
) -> None:
    """Show a study: each sentence with its intervals and each seed's value, the map, the curves.

    STUDY is a study.toml, or a folder with one. All numbers are those of the report; neither
    databases nor trainings are needed. --seeds and --iterations are for results that were made with
    them.
    """
    from netgen.pipeline.reporting.study_shown import page_of
    from netgen.pipeline.reporting.study_told import told
    from netgen.pipeline.running.records import RESULTS
    from netgen.pipeline.running.results_of import read_results_of
    from netgen.pipeline.study.study_changes import Changes
    from netgen.pipeline.study.study_plan import plan_study

    plan = plan_study(file, Changes(seeds, iterations))
    found = read_results_of(plan, results or file.with_name(RESULTS))
    of = told(plan, found, words_of(seeds, iterations))
    write_page(out, page_of(of, command_line(context, str(file))))
