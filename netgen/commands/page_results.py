"""`netgen page results`: what `netgen eval` measured, beside the paper's Table 2."""

from __future__ import annotations

from pathlib import Path

import click

from netgen.commands.page_options import command_line, out_option, paths_argument, write_page
from netgen.commands.terminal_progress import show_work
from netgen.commands.trained_options import caffemodel_of


def _newest_of_runs(
    _context: click.Context, _option: click.Parameter, paths: tuple[Path, ...]
) -> tuple[Path, ...]:
    return tuple(caffemodel_of(path) for path in paths)


@click.command("results", short_help="Show test results: Table 2, classes, confusions.")
@paths_argument(metavar="RESULT_OR_FOLDER...")
@out_option
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    callback=_newest_of_runs,
    multiple=True,
    metavar="FILE|RUN",
    help="Also show the cross weights of an X_S network, as in Figure 5: the caffemodel that was"
    " tested, or the folder of its training, for the newest snapshot; repeatable.",
)
@click.pass_context
def results(
    context: click.Context, paths: tuple[Path, ...], out: Path, weights: tuple[Path, ...]
) -> None:
    """Show results of `netgen eval`: what was measured beside what the paper's Table 2 prints.

    RESULT_OR_FOLDER is a file that `netgen eval --out` wrote, or a folder with such files. Networks
    that were tested on the same images stand beside each other, class by class; and image by image
    where they were tested with `netgen eval --images`.
    """
    from netgen.figures.page.paged_results import read_paged_results
    from netgen.figures.page.pictured import read_shared_images
    from netgen.figures.page.results_page import results_page
    from netgen.figures.page.weight_charts import read_paged_weights

    with show_work("reading results"):
        read = read_paged_results(paths)
        cross = read_paged_weights(weights, read)
        images = read_shared_images(read)
    for of in images:
        if of.missing:
            click.echo(
                f"note: {of.missing} is not there, so the page has no images: make it in the folder"
                " that this path starts from",
                err=True,
            )
    write_page(out, results_page(read, cross, images, command_line(context, *map(str, paths))))
