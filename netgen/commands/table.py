"""`netgen table`: the committed study of Table 2; prints measured and printed values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.shared_options import solver_mode_option, table_console

if TYPE_CHECKING:
    from netgen.pipeline.study.cells import Cell
    from netgen.pipeline.study.study_plan import Plan

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
@click.option(
    "--gpu",
    type=click.IntRange(0),
    metavar="N",
    help="Train and evaluate on this GPU.  [default: train where the solver says, evaluate on the"
    " CPU]",
)
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
    a results/NAME.json is complete, and one that was built for other images than data/mtvso, as
    the committed ones, is built again unless its training has begun. Each network takes days on a
    GPU. This is the committed study experiments/table2/study.toml, one network after the other.
    """
    from netgen.pipeline import table2

    plan = table_plan(weights, classes, gpu, solver_mode)
    cells = networks(plan, names)
    if as_json:
        data = {"rows": table2.rows(plan, names), "steps": _steps(cells)}
        click.echo(json.dumps(data, indent=2))
        return
    if dry_run:
        for step in _steps(cells):
            click.echo(f"{'# done: ' if step['done'] else ''}{step['command']}")
        click.echo()
    else:
        _run(plan, cells)
    _print(table2.rows(plan, names))


def table_plan(
    weights: Path, classes: Path | None = None, gpu: int | None = None, solver_mode: str = "gpu"
) -> Plan:
    """Return the plan of Table 2."""
    from netgen.pipeline.study.study_changes import Changes
    from netgen.pipeline.study.study_plan import plan_study
    from netgen.pipeline.study.study_reading import committed

    if solver_mode == "cpu" and gpu is not None:
        raise click.UsageError("--solver-mode cpu trains without a GPU: omit it, or --gpu")
    changes = Changes(weights=weights, classes=classes or weights / "deepsentibank.txt")
    return plan_study(committed("table2"), changes, gpu, solver_mode)


def networks(plan: Plan, names: Sequence[str]) -> list[Cell]:
    """Return the cells of networks, by default of all; an unknown name is wrong usage."""
    from netgen.network.variants import find
    from netgen.paper import TASKS

    try:
        return plan.named([find(name, list(TASKS)).name for name in names]) or plan.deciding
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--only") from None


def _steps(cells: Sequence[Cell]) -> list[dict[str, object]]:
    from netgen.pipeline.study.cells import as_typed

    return [
        {"variant": cell.name, "command": as_typed(step.words), "done": step not in cell.left}
        for cell in cells
        for step in cell.steps
    ]


def _run(plan: Plan, cells: Sequence[Cell]) -> None:
    """Run what is left to do, network by network, with its output."""
    from netgen.commands.study_running import run_request
    from netgen.pipeline.running.study_run import Request

    run_request(Request(plan, cells, shown=True), "the same `netgen table` resumes from here")


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
