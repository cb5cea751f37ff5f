"""`netgen eval`: how well a trained network does on the test set, beside Table 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
    from collections.abc import Callable

    from netgen.evaluation.scoring import EngineName

PIPED_WIDTH = 140


@click.command("eval", short_help="Test a trained network, beside Table 2.")
@deployed_network_options
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=24,
    show_default=True,
    metavar="N",
    help="Images at a time; whatever it is, every image counts once.",
)
@click.option(
    "--classes",
    type=READABLE,
    metavar="FILE",
    help="For a network with more outputs than the task has classes: the outputs' names, one a"
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
    """Run a trained network on every test image, once, and tell its accuracies.

    Top-1 and top-5 of each task with 95% intervals (Wilson's), beside Table 2 where the data are
    the paper's, and beside what guessing and the other tasks' outputs would score. Equal scores
    rank by class number, the lowest first; of fewer than five classes, all are among the top five.
    """
    from netgen.evaluation.evaluate import Request, evaluate
    from netgen.evaluation.result_table import print_result
    from netgen.evaluation.results import write_result
    from netgen.system.files import check_writable

    if out:
        check_writable(out)
    data = load_dataset(dataset)
    request = Request(
        find_variant(variant, data),
        data,
        deploy_file(net, variant),
        weights,
        engine,
        gpu,
        batch_size,
        classes,
    )
    with _progress(data.test.records) as advance:
        result = evaluate(request, advance)
    if out:
        write_result(result, out)
    print_result(table_console(PIPED_WIDTH), result)
    if out:
        click.echo(f"\nWritten: {out}")


@contextmanager
def _progress(images: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, and a line elsewhere."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        click.echo(f"testing on {images:,} images", err=True)
    columns = (TextColumn("testing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("testing", total=images)
        yield lambda count: progress.advance(bar, count)
