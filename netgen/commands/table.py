"""`netgen table`: run all commands that Table 2 needs; print measured and printed values."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.shared_options import solver_mode_option, table_console

if TYPE_CHECKING:
    from netgen.network.variants import Variant
    from netgen.pipeline.table2 import Step, Table2Inputs

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HEADINGS = (
    *("network", "task", "#Params", "ours", "top-1", "ours", "top-5", "ours"),
    *("G", "GiB"),
)
LEGEND = (
    "#Params in millions, accuracies in percent. Not in the paper: G, billions of multiply-adds per"
    " image;\nGiB, estimated memory of training (DeepSentiBank: of testing) at batch size 24."
)


@click.command("table", short_help="Reproduce Table 2: run every step, and print the table.")
@click.option("--dry-run", is_flag=True, help="Print the commands and the table; run nothing.")
@click.option(
    "--only",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this network of `netgen list`; repeatable.",
)
@click.option(
    "--weights",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("weights"),
    show_default=True,
    metavar="DIR",
    help="The folder of the published caffemodels to start from.",
)
@click.option(
    "--classes",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="DeepSentiBank's outputs, one name per line.  [default: deepsentibank.txt in --weights]",
)
@click.option("--gpu", type=click.IntRange(0), metavar="N", help="Train and evaluate on this GPU.")
@solver_mode_option("Where networks train that are not built yet.")
@click.option("--json", "as_json", is_flag=True, help="Print the commands and the table as JSON.")
def command(
    dry_run: bool,
    names: tuple[str, ...],
    weights: Path,
    classes: Path | None,
    gpu: int | None,
    solver_mode: str,
    as_json: bool,
) -> None:
    """Build, initialise, train and evaluate every network of Table 2, and print the table.

    Steps that are done are skipped, so the same command resumes what was stopped; a network with
    a results/NAME.json is complete. Each network takes days on a GPU.
    """
    from netgen.pipeline import table2

    on_cpu = solver_mode == "cpu"
    if on_cpu and gpu is not None:
        raise click.UsageError("--solver-mode cpu trains without a GPU: omit it, or --gpu")
    names_file = classes or weights / "deepsentibank.txt"
    inputs = table2.Table2Inputs(weights, names_file, gpu, on_cpu)
    try:
        chosen = table2.networks(names)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--only") from None
    if as_json:
        click.echo(
            json.dumps({"rows": table2.rows(names), "steps": _plan(chosen, inputs)}, indent=2)
        )
        return
    if dry_run:
        for line in _plan(chosen, inputs):
            click.echo(f"{'# done: ' if line['done'] else ''}{line['command']}")
        click.echo()
    else:
        _run(chosen, inputs)
    _print(table2.rows(names))


def _plan(chosen: Sequence[Variant], inputs: Table2Inputs) -> list[dict[str, object]]:
    from netgen.pipeline.launch import as_typed
    from netgen.pipeline.table2 import steps

    return [
        {"variant": variant.name, "command": as_typed(step.words), "done": step.done}
        for variant in chosen
        for step in steps(variant, inputs)
    ]


def _run(chosen: Sequence[Variant], inputs: Table2Inputs) -> None:
    """Run what is left to do, network by network; print a network's rows when it is done."""
    from netgen.pipeline.table2 import rows, steps

    _check_needs([step for variant in chosen for step in steps(variant, inputs)])
    for variant in chosen:
        todo = [step for step in steps(variant, inputs) if not step.done]
        for index in range(len(todo)):
            # Computed again: which snapshot is the last is known only after the training.
            _call(steps(variant, inputs)[index - len(todo)])
        if todo:
            _print(rows([variant.name]))


def _print(rows: Sequence[dict[str, str]]) -> None:
    """Print the table: each column followed by our values, then the columns not in the paper."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if index < 2 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    table_console(piped_width=100).print(table)
    click.echo(LEGEND)


def _check_needs(steps: Sequence[Step]) -> None:
    needed = dict.fromkeys(path for step in steps if not step.done for path in step.needs)
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        raise click.ClickException(
            f"not there: {', '.join(missing)}: nothing was run; --dry-run prints the commands that"
            " need them, --only chooses networks"
        )


def _call(step: Step) -> None:
    """Run a command in a process of its own; if it fails, exit with its exit code."""
    from netgen.caffe.child import handling
    from netgen.pipeline.launch import as_typed, start

    click.echo(f"\n$ {as_typed(step.words)}")
    # The command gets signals only from here, each once; a training then writes a snapshot.
    with (
        start(step.words) as running,
        handling(SIGNALS, lambda number, _: running.send_signal(number)),
    ):
        code = running.wait()
    if code:
        click.echo(f"stopped (exit {code}): the same `netgen table` resumes from here", err=True)
        sys.exit(code if code > 0 else 128 - code)
