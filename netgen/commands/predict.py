"""`netgen predict`: what a trained network sees in photographs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.figure import ACCEPTED, PictureFile
from netgen.commands.shared_options import (
    deploy_file,
    deployed_network_options,
    find_variant,
    load_dataset,
)

if TYPE_CHECKING:
    from netgen.evaluation.prediction import Prediction
    from netgen.evaluation.scoring import EngineName


@click.command("predict", short_help="Tell what a trained network sees in images.")
@click.argument(
    "images",
    metavar="IMAGE...",
    nargs=-1,
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
)
@deployed_network_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--out",
    type=PictureFile(),
    metavar="FILE",
    help=f"Draw a picture like the paper's Figure 6: a file that ends in {ACCEPTED}.",
)
def command(
    images: tuple[Path, ...],
    variant: str,
    weights: Path,
    dataset: Path | None,
    net: Path | None,
    engine: EngineName,
    gpu: int | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Tell the five likeliest classes of each task for each IMAGE.

    Images of any size are resized to the network's, and those for a network of grey images are
    made grey.
    """
    from netgen.evaluation.prediction import Request, predict
    from netgen.system.files import check_writable

    if out:
        check_writable(out)
    data = load_dataset(dataset)
    chosen = find_variant(variant, data)
    network = deploy_file(net, variant)
    predictions = predict(Request(chosen, data, network, weights, images, engine, gpu))
    if out:
        from netgen.figures.predictions import draw

        draw(predictions, out)
    if as_json:
        _print_json(predictions)
    else:
        _print(predictions)
        if out:
            click.echo(f"Drawn: {out}")


def _print_json(predictions: Sequence[Prediction]) -> None:
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(predictions), indent=2).decode())


def _print(predictions: Sequence[Prediction]) -> None:
    for prediction in predictions:
        click.echo(prediction.image)
        for task, guesses in prediction.tasks.items():
            told = (
                f"{guess.label if guess.name is None else guess.name} {guess.probability:.1%}"
                for guess in guesses
            )
            click.echo(f"  {task}: {', '.join(told)}")
