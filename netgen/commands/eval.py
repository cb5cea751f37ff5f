"""`netgen eval`: a trained network's accuracies on the test set, compared with Table 2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.output_files import check_not_read, check_outputs
from netgen.commands.shared_options import table_console
from netgen.commands.trained_options import READABLE, trained_network, trained_network_options

if TYPE_CHECKING:
    from netgen.evaluation.scoring import EngineName

PIPED_WIDTH = 140


@click.command("eval", short_help="Test a trained network and compare with Table 2.")
@trained_network_options
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
    "--sums",
    is_flag=True,
    help="Also measure how large what the tasks' own blocks add is: shortcut, branch, and the other"
    " tasks' shortcuts. For networks of several tasks, with --engine caffe.",
)
@click.option(
    "--images",
    is_flag=True,
    help="Also write each image's five best classes of every task, to NAME.images.jsonl beside"
    " --out NAME.json; `netgen page results` shows them with the images, as in Figure 6.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write everything as JSON; `netgen figure confusion` reads it.",
)
def command(
    weights: Path,
    variant: str | None,
    dataset: Path | None,
    net: Path | None,
    engine: EngineName | None,
    gpu: int | None,
    batch_size: int,
    classes: Path | None,
    sums: bool,
    images: bool,
    out: Path | None,
) -> None:
    """Run a trained network on every test image once, and print its accuracies.

    The network is found beside the weights, and so is the dataset that it was trained on.

    Prints top-1 and top-5 accuracy of each task with 95% intervals (Wilson's), compared with Table
    2 for the paper's data, and with guessing and what the other tasks' outputs imply. Equal scores
    rank by class number, the lowest first; with fewer than five classes, all are in the top five.
    """
    from netgen.commands.progress_bar import show_progress
    from netgen.evaluation.evaluate import EvaluationRequest, evaluate
    from netgen.evaluation.image_guesses import GuessKeeper, guesses_file
    from netgen.evaluation.result_table import print_result
    from netgen.evaluation.results import write_result
    from netgen.network.description import differences

    if images and out is None:
        raise click.UsageError("--images writes beside a result: add --out NAME.json")
    outputs = {"--out": out, "--images": guesses_file(out) if out and images else None}
    check_outputs(outputs)
    trained = trained_network(weights, variant, dataset, net)
    data, described = trained.tested_on(), trained.description
    names = [Path(task.names) for task in data.tasks if task.names]
    check_not_read(outputs, [*trained.files, trained.tested_file, *names, classes])
    for note in differences(described.images, data.images) if described else ():
        click.echo(f"note: {note}", err=True)
    request = EvaluationRequest(
        trained.chosen(data),
        data,
        trained.network,
        weights,
        trained.engine(engine),
        gpu,
        batch_size,
        classes,
        trained.mean,
        sums,
    )
    with show_progress() as progress:
        progress.stage("testing", data.test.records)
        keeper = GuessKeeper() if images else None
        result = evaluate(request, progress.advance, keeper)
        beside = {}
        if out and keeper:
            progress.stage("reading the images again, to tell them apart")
            beside[guesses_file(out)] = keeper.encoded(result, data)
    if out:
        write_result(result, out, beside)
    print_result(table_console(PIPED_WIDTH), result)
    if out:
        click.echo(f"\nWritten: {', '.join(str(file) for file in outputs.values() if file)}")
