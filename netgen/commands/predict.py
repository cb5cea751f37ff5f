"""`netgen predict`: a trained network's predictions for photographs."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.figure import ACCEPTED, PictureFile
from netgen.commands.output_files import check_not_read, check_outputs
from netgen.commands.terminal_progress import show_work
from netgen.commands.trained_options import trained_network, trained_network_options
from netgen.system.text import cell, escaped, json_text, printable

if TYPE_CHECKING:
    from netgen.evaluation.prediction import NotPredicted, Prediction
    from netgen.evaluation.scoring import EngineName

STANDARD_INPUT = "-"
COLUMNS = ("image", "task", "rank", "label", "class", "probability")


@click.command("predict", short_help="Predict the classes of images.")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@trained_network_options
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="K",
    help="Classes of each task, the most probable first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, when all are done.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a line per image, task and class.")
@click.option(
    "--out",
    type=PictureFile(),
    metavar="FILE",
    help=f"Draw a picture like the paper's Figure 6; the file's name ends in {ACCEPTED}.",
)
@click.pass_context
def command(
    ctx: click.Context,
    images: tuple[str, ...],
    weights: Path,
    variant: str | None,
    dataset: Path | None,
    net: Path | None,
    engine: EngineName | None,
    gpu: int | None,
    top: int,
    as_json: bool,
    as_csv: bool,
    out: Path | None,
) -> None:
    """Predict the most probable classes of each task for each IMAGE.

    IMAGE is a file, a folder (all files below it), or - for one image on standard input. For a list
    of names: xargs netgen predict --weights RUN.

    The network, its tasks, the names of its classes and how its images were read (size, colour,
    rotation, …) are found beside the weights: `netgen build` and `netgen train` leave them there.

    An image that cannot be used is told on standard error, the others are predicted all the same,
    and the exit code is 1.
    """
    from data_prep.photographs import Photographs
    from netgen.evaluation.prediction import NotPredicted, PredictionRequest, predict
    from netgen.figures.predictions import MOST_ROWS

    if as_json and as_csv:
        raise click.UsageError("--json and --csv: give one of them")
    check_outputs({"--out": out})
    trained = trained_network(weights, variant, dataset, net)
    described = trained.described()
    listed = list(_listed(images))
    names = [each for each in listed if isinstance(each, str)]
    if out and len(names) > MOST_ROWS:
        raise click.UsageError(
            f"--out draws at most {MOST_ROWS} images, but there are {len(names):,}: name fewer"
        )
    check_not_read({"--out": out}, [*trained.files, *map(Path, names)])
    given = {STANDARD_INPUT: sys.stdin.buffer.read()} if STANDARD_INPUT in names else {}
    photographs = Photographs(described.images, given)
    found: list[Prediction] = []
    failed = [each for each in listed if not isinstance(each, str)]
    for each in failed:
        _tell(each)
    show = _printer(as_json, as_csv)

    def on_found(one: Prediction | NotPredicted) -> None:
        done()
        if isinstance(one, NotPredicted):
            failed.append(one)
            _tell(one)
            return
        if as_json or out:
            found.append(one)
        show(one)

    if names:
        request = PredictionRequest(
            described,
            trained.network,
            weights,
            names,
            photographs,
            trained.engine(engine),
            gpu,
            top,
            trained.mean,
        )
        # Predictions that are printed on the terminal tell themselves how far it is.
        printed = sys.stdout.isatty() and not as_json
        with show_work(None if printed else "predicting", len(names)) as done:
            predict(request, on_found)
    if as_json:
        _print_json(found)
    if out and found:
        from netgen.figures.predictions import SIDE, draw_predictions

        draw_predictions(found, photographs.upright(SIDE), out)
        click.echo(f"Drawn: {out}", err=as_json or as_csv)
    ctx.exit(1 if failed else 0)


def _listed(images: Sequence[str]) -> Iterator[str | NotPredicted]:
    """Yield the names of all images; of a folder, those of the files below it."""
    from data_prep.photographs import files_in
    from netgen.evaluation.prediction import NotPredicted

    if images.count(STANDARD_INPUT) > 1:
        raise click.UsageError("-: standard input can be read once: name it once")
    for image in images:
        if image == STANDARD_INPUT or not Path(image).is_dir():
            yield image
            continue
        files = list(files_in(Path(image)))
        if not files:
            yield NotPredicted(image, "a folder without files")
        for file in files:
            yield file if isinstance(file, str) else NotPredicted(file.name, file.reason)


def _tell(one: NotPredicted) -> None:
    image = "standard input" if one.image == STANDARD_INPUT else one.image
    click.echo(printable(f"Error: {image}: {one.reason}"), err=True)


def _printer(as_json: bool, as_csv: bool) -> Callable[[Prediction], None]:
    """Return what prints a prediction as soon as it is there."""
    if as_json:
        return lambda _: None
    if as_csv:
        click.echo(_csv_line(COLUMNS), nl=False)
        return _print_csv
    return _print


def _print_json(predictions: Sequence[Prediction]) -> None:
    import msgspec

    named = [msgspec.structs.replace(each, image=_in_utf8(each.image)) for each in predictions]
    text = msgspec.json.format(msgspec.json.encode(named), indent=2).decode()
    click.echo(json_text(text).encode())  # JSON is UTF-8, also where a terminal is not


def _in_utf8(name: str) -> str:
    r"""Return a file's name with the bytes that are no UTF-8 as escapes: \\xff."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _print_csv(prediction: Prediction) -> None:
    for task, ranked in prediction.tasks.items():
        for place, guess in enumerate(ranked, 1):
            row = (prediction.image, task, place, guess.label, guess.name or "")
            click.echo(_csv_line((*row, f"{guess.probability:.6f}")), nl=False)


def _csv_line(fields: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cell(str(field)) for field in fields)
    text = line.getvalue()
    return escaped(text) if sys.stdout.isatty() else text


def _print(prediction: Prediction) -> None:
    click.echo(printable(prediction.image))
    for task, ranked in prediction.tasks.items():
        shown = (
            f"{guess.label if guess.name is None else guess.name} {guess.probability:.1%}"
            for guess in ranked
        )
        click.echo(f"  {task}: {', '.join(shown)}")
