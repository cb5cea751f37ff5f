"""`netgen log`: check in Caffe's log whether a training learned."""

from __future__ import annotations

import json
import shlex
from math import isfinite, isnan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.shared_options import print_table

if TYPE_CHECKING:
    from netgen.caffe.training_log import NetOutputs, TrainingLog


@click.command("log", short_help="Check in a training's log whether it learned.")
@click.argument("file", metavar="FILE|RUN", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print every loss and test result as JSON.")
def command(file: Path, as_json: bool) -> None:
    """Print whether the losses of a training fell, and the results of its last test.

    RUN is the folder of a `netgen train`, or a log in it. FILE is Caffe's log; write one with:
    caffe train -solver SOLVER -weights WEIGHTS 2>&1 | tee FILE

    Guessing is by chance, or always the classes that are most frequent in the training set,
    measured on the test set, as `netgen eval` has it. For charts: `netgen figure curves`.
    """
    log, weights = _read(file)
    if as_json:
        click.echo(json.dumps(_as_json(log), indent=2))
        return
    if len(log.train) > 1:
        _print_losses(log.train)
    if log.test:
        _print_test(log.test[-1], log)
    else:
        click.echo("No test yet.")
    if not log.finished:
        click.echo("The training has not finished, or its log was cut off.")
    if weights:
        words = ["netgen", "predict", "photo.jpg", "--weights", weights.as_posix()]
        click.echo(f"\nNext: {shlex.join(words)}")


def _read(file: Path) -> tuple[TrainingLog, Path | None]:
    """Return a training's log, and what to give to `netgen predict` as its weights, if anything."""
    from netgen.caffe.training_log import LogError, read_log
    from netgen.training.journal import journal_log
    from netgen.training.run_folder import RunFolder
    from netgen.training.snapshots import newest_of_caffe

    folder = RunFolder(file if file.is_dir() else file.parent)
    if file.is_dir() or (folder.journal.exists() and file in (folder.journal, folder.caffe_log)):
        if not folder.journal.exists():
            raise LogError(
                f"{file}: a folder without log.jsonl, so no run of `netgen train`: name its folder,"
                " or a log that `caffe train` wrote"
            )
        log = journal_log(folder.journal, folder.net)
        whole = folder.description.exists() and newest_of_caffe(folder.snapshots)
        return log, folder.path if whole else None
    log = read_log(file)
    model = log.model
    if model is None or not model.is_file():
        return log, None
    beside = RunFolder(model.parent.parent)
    if not beside.description.exists():
        return log, None
    last = not beside.record.exists() and newest_of_caffe(beside.snapshots) == model
    return log, beside.path if last else model


def _as_json(log: TrainingLog) -> dict[str, object]:
    readings = {"train": log.train, "test": log.test}
    return {
        phase: [{"iteration": reading.iteration, **_in_json(reading.values)} for reading in list_]
        for phase, list_ in readings.items()
    } | {"finished": log.finished}


def _in_json(values: dict[str, float]) -> dict[str, float | None]:
    """Return numbers as JSON has them, which has no nan and no infinity."""
    return {name: value if isfinite(value) else None for name, value in values.items()}


def _print_losses(train: list[NetOutputs]) -> None:
    """Compare the means of the first and the last tenth of the displays: one loss is noise."""
    tenth = max(1, len(train) // 10)
    first, last = train[:tenth], train[-tenth:]
    rows = []
    for name in train[0].values:
        before, after = _mean(first, name), _mean(last, name)
        # Not "after >= before": a nan has not fallen.
        verdict = "fell" if after < before else "DID NOT FALL"
        rows.append({"loss": name, "first": f"{before:.3f}", "last": f"{after:.3f}", "": verdict})
    click.echo(f"Training loss, iterations {_span(first)} and {_span(last)}:")
    print_table(rows)
    click.echo()


def _mean(readings: list[NetOutputs], name: str) -> float:
    values = [reading.values.get(name, float("nan")) for reading in readings]
    return sum(values) / len(values)


def _span(readings: list[NetOutputs]) -> str:
    first, last = readings[0].iteration, readings[-1].iteration
    return f"{first}" if first == last else f"{first} to {last}"


def _print_test(test: NetOutputs, log: TrainingLog) -> None:
    from netgen.evaluation.labels import guessing_accuracies

    if not test.values:
        click.echo(f"Test, iteration {test.iteration}: without a result.")
        return
    guess = guessing_accuracies(log.train_layers, log.test_layers)
    broken = any(isnan(value) for value in test.values.values())
    rows = []
    for name in guess.keys() & test.values.keys():
        value, (chance, prior) = test.values[name], guess[name]
        rows.append(
            {
                "accuracy": name,
                "test": f"{100 * value:.2f} %",
                "chance": f"{100 * chance:.2f} %",
                "most frequent": "-" if prior is None else f"{100 * prior:.2f} %",
                "": "MEANS NOTHING" if broken else _verdict(value, max(chance, prior or 0)),
            }
        )
    if not rows:  # the net is neither in the log nor in its file
        rows = [{"output": name, "test": f"{value:.4f}"} for name, value in test.values.items()]
    click.echo(f"Test, iteration {test.iteration}{', compared with guessing' if guess else ''}:")
    print_table(sorted(rows, key=lambda row: next(iter(row.values()))))
    if guess:
        click.echo("Most frequent: always the classes with the most training images.")
    if broken:
        click.echo("A loss is nan: so are the scores, and Caffe 1.0 counts nan as a right answer.")
    elif guess and log.ties:
        click.echo(f"Equal scores count {log.ties}.")


def _verdict(value: float, guess: float) -> str:
    return f"{value / guess:.1f} x guessing" if value > guess else "NO BETTER THAN GUESSING"
