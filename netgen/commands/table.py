"""`netgen table`: all that Table 2 needs, run, and the table, measured beside printed."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.shared_options import table_console

if TYPE_CHECKING:
    from netgen.network.variants import Variant
    from netgen.pipeline.table2 import Places, Step


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HEADINGS = (
    *("network", "task", "#Params", "ours", "top-1", "ours", "top-5", "ours"),
    *("G", "GiB"),
)
LEGEND = (
    "#Params in millions, accuracies in percent. Beyond the paper: G, billions of multiply-adds an"
    " image;\nGiB, memory of training (DeepSentiBank: of testing) at batch 24, estimated."
)


@click.command("table", short_help="Run all that Table 2 needs, and print it.")
@click.option("--dry-run", is_flag=True, help="Print the commands, run none of them.")
@click.option(
    "--only", "names", multiple=True, metavar="NAME", help="A network of `netgen list`; repeatable."
)
@click.option(
    "--weights",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("weights"),
    show_default=True,
    metavar="DIR",
    help="The folder of the published caffemodels that networks start from.",
)
@click.option(
    "--classes",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="DeepSentiBank's outputs, one name a line.  [default: deepsentibank.txt in --weights]",
)
@click.option("--gpu", type=click.IntRange(0), metavar="N", help="Train and evaluate on this GPU.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; run nothing.")
def command(
    dry_run: bool,
    names: tuple[str, ...],
    weights: Path,
    classes: Path | None,
    gpu: int | None,
    as_json: bool,
) -> None:
    """Build, initialise, train and evaluate every network of Table 2, and print the table.

    What is done is skipped, so the same command goes on where it was stopped: a result in
    results/NAME.json is a row done. Each network takes days on a GPU; --dry-run prints the
    commands, and the table with what there is so far.
    """
    from netgen.pipeline import table2

    places = table2.Places(weights, classes or weights / "deepsentibank.txt", gpu)
    try:
        chosen = table2.networks(names)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--only") from None
    if as_json:
        click.echo(
            json.dumps({"rows": table2.rows(names), "steps": _plan(chosen, places)}, indent=2)
        )
        return
    if dry_run:
        for line in _plan(chosen, places):
            click.echo(f"{'# done: ' if line['done'] else ''}{line['command']}")
        click.echo()
    else:
        _run(chosen, places)
    _print(table2.rows(names))


def _plan(chosen: Sequence[Variant], places: Places) -> list[dict[str, object]]:
    from netgen.pipeline.table2 import steps

    return [
        {"variant": variant.name, "command": _line(step), "done": step.done}
        for variant in chosen
        for step in steps(variant, places)
    ]


def _line(step: Step) -> str:
    return shlex.join(("netgen", *step.words))


def _run(chosen: Sequence[Variant], places: Places) -> None:
    """Run what is left to do, network by network; show a network's rows when it is done."""
    from netgen.pipeline.table2 import rows, steps

    _check_needs([step for variant in chosen for step in steps(variant, places)])
    for variant in chosen:
        todo = [step for step in steps(variant, places) if not step.done]
        for index in range(len(todo)):
            # Looked up anew: which snapshot is the last is known after the training.
            _call(steps(variant, places)[index - len(todo)])
        if todo:
            _print(rows([variant.name]))


def _print(rows: Sequence[dict[str, str]]) -> None:
    """Print the table: after each of its columns, ours; then what the paper does not have."""
    from rich.table import Table

    table2 = Table(box=None, header_style="bold", pad_edge=False)
    for index, heading in enumerate(HEADINGS):
        table2.add_column(heading, justify="left" if index < 2 else "right", no_wrap=True)
    for row in rows:
        table2.add_row(*row.values())
    table_console(piped_width=100).print(table2)
    click.echo(LEGEND)


def _check_needs(steps: Sequence[Step]) -> None:
    needed = dict.fromkeys(path for step in steps if not step.done for path in step.needs)
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        raise click.ClickException(
            f"not there: {', '.join(missing)}: nothing was run; --dry-run prints what needs them,"
            " --only chooses networks"
        )


def _call(step: Step) -> None:
    """Run a command as a process of its own; end as it did, if it failed."""
    from netgen.caffe.child import handling

    click.echo(f"\n$ {_line(step)}")
    command = [sys.executable, "-m", "netgen.commands.cli", *step.words]
    # In a session of its own, what is to stop this reaches it once, by us: a training then leaves
    # a snapshot.
    with (
        subprocess.Popen(command, start_new_session=True) as running,
        handling(SIGNALS, lambda number, _: running.send_signal(number)),
    ):
        code = running.wait()
    if code:
        click.echo(f"stopped: `netgen table` goes on from here (exit {code})", err=True)
        sys.exit(code if code > 0 else 128 - code)
