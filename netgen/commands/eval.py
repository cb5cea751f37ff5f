"""`netgen eval`: a trained network's accuracies on the test set, compared with Table 2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.shared_options import (
    READABLE,
    deploy_file,
    deployed_network_options,
    find_variant,
    load_dataset,
    table_console,
)

if TYPE_CHECKING:
    from netgen.evaluation.scoring import EngineName

PIPED_WIDTH = 140


@click.command("eval", short_help="Test a trained network and compare with Table 2.")
@deployed_network_options
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=24,
    show_default=True,
    metavar="N",
    help="Images per batch; every image counts once, whatever it is.",
)
@click.option(
    "--classes",
    type=READABLE,
    metavar="FILE",
    help="For a network with more outputs than the task has classes: the outputs' names, one per"
    " line; case, spaces, '_' and '-' do not matter.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write everything as JSON; `netgen figure confusion` reads it.",
)
def command(
    variant: str,
    weights: Path,
    dataset: Path | None,
    net: Path | None,
    engine: EngineName,
    gpu: int | None,
    batch_size: int,
    classes: Path | None,
    out: Path | None,
) -> None:
    """Run a trained network on every test image once, and print its accuracies.

    Prints top-1 and top-5 accuracy of each task with 95% intervals (Wilson's), compared with Table
    2 for the paper's data, and with guessing and what the other tasks' outputs imply. Equal scores
    rank by class number, the lowest first; with fewer than five classes, all are in the top five.
    """
    from netgen.commands.progress_bar import show_progress
    from netgen.evaluation.evaluate import EvaluationRequest, evaluate
    from netgen.evaluation.result_table import print_result
    from netgen.evaluation.results import write_result
    from netgen.system.files import check_writable

    if out:
        check_writable(out)
    data = load_dataset(dataset)
    request = EvaluationRequest(
        find_variant(variant, data),
        data,
        deploy_file(net, variant),
        weights,
        engine,
        gpu,
        batch_size,
        classes,
    )
    with show_progress() as progress:
        progress.stage("testing", data.test.records)
        result = evaluate(request, progress.advance)
    if out:
        write_result(result, out)
    print_result(table_console(PIPED_WIDTH), result)
    if out:
        click.echo(f"\nWritten: {out}")
