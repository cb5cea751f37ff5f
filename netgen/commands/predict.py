"""`netgen predict`: a trained network's predictions for photographs."""

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


@click.command("predict", short_help="Predict the classes of images.")
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
    help=f"Draw a picture like the paper's Figure 6; the file's name ends in {ACCEPTED}.",
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
    """Predict the five most probable classes of each task for each IMAGE.

    Images are resized to the network's input size, and converted to grey for a network of grey
    images.
    """
    from data_prep.images import read_pixels
    from netgen.evaluation.prediction import PredictionRequest, predict
    from netgen.system.files import check_writable

    if out:
        check_writable(out)
    data = load_dataset(dataset)
    chosen = find_variant(variant, data)
    network = deploy_file(net, variant)
    predictions = predict(
        PredictionRequest(chosen, data, network, weights, images, read_pixels, engine, gpu)
    )
    if out:
        from netgen.figures.predictions import draw_predictions

        draw_predictions(predictions, read_pixels, out)
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
        for task, ranked in prediction.tasks.items():
            shown = (
                f"{guess.label if guess.name is None else guess.name} {guess.probability:.1%}"
                for guess in ranked
            )
            click.echo(f"  {task}: {', '.join(shown)}")
