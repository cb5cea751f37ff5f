"""`netgen log`: check in Caffe's log whether a training learned."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.shared_options import print_table

if TYPE_CHECKING:
    from netgen.caffe.caffe_pb2 import LayerParameter
    from netgen.caffe.training_log import NetOutputs, TrainingLog


@click.command("log", short_help="Check in Caffe's log whether a training learned.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print every loss and test result as JSON.")
def command(file: Path, as_json: bool) -> None:
    """Print whether the losses in Caffe's log FILE fell, and the results of the last test.

    Write such a log with: caffe train -solver SOLVER 2>&1 | tee FILE

    For a run of `netgen train`, whose tests are in its log.jsonl: `netgen figure curves`.
    """
    from netgen.caffe.training_log import read_log

    log = read_log(file)
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


def _as_json(log: TrainingLog) -> dict[str, object]:
    readings = {"train": log.train, "test": log.test}
    return {
        phase: [{"iteration": reading.iteration, **reading.values} for reading in list_]
        for phase, list_ in readings.items()
    } | {"finished": log.finished}


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

    guess = guessing_accuracies(log.test_layers)
    meaningless = _without_scores(test, log.test_layers)
    rows = []
    for name in guess.keys() & test.values.keys():
        value, (chance, prior) = test.values[name], guess[name]
        broken = name in meaningless
        rows.append(
            {
                "accuracy": name,
                "test": f"{100 * value:.2f} %",
                "chance": f"{100 * chance:.2f} %",
                "largest classes": "-" if prior is None else f"{100 * prior:.2f} %",
                "": "MEANS NOTHING" if broken else _verdict(value, max(chance, prior or 0)),
            }
        )
    if not rows:  # the net is neither in the log nor in its file
        rows = [{"output": name, "test": f"{value:.4f}"} for name, value in test.values.items()]
    click.echo(f"Test, iteration {test.iteration}{', compared with guessing' if guess else ''}:")
    print_table(sorted(rows, key=lambda row: next(iter(row.values()))))
    if meaningless:
        click.echo("A loss is nan: so are the scores, and Caffe 1.0 counts nan as a right answer.")
    elif guess and log.ties:
        click.echo(f"Equal scores count {log.ties}.")


def _without_scores(test: NetOutputs, layers: list[LayerParameter]) -> set[str]:
    """Return the accuracies whose scores, or whose neighbours' if none are known, gave a nan."""
    broken = {name for name, value in test.values.items() if isnan(value)}
    scores = {layer.bottom[0] for layer in layers if broken & {*layer.top}}
    return {
        layer.top[0]
        for layer in layers
        if layer.type == "Accuracy" and broken and (not scores or layer.bottom[0] in scores)
    }


def _verdict(value: float, guess: float) -> str:
    return f"{value / guess:.1f} x guessing" if value > guess else "NO BETTER THAN GUESSING"
