"""`netgen study`: plan, run, watch and report any study that a study.toml defines."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.cluster_options import OF_JOBS, job_options, job_settings
from netgen.commands.shared_options import (
    STUDY_TOML,
    PrintablePath,
    jobs_option,
    print_table,
    refuse_given,
    with_options,
)

if TYPE_CHECKING:
    from netgen.pipeline.study.cells import Cell
    from netgen.pipeline.study.study_plan import Plan

POLL = 2  # seconds between two looks at what a cell depends on


@click.group("study", short_help="Run a whole experiment that a file defines.")
def command() -> None:
    """Run a whole experiment that a file, study.toml, defines: any datasets, networks and seeds.

    The file says which networks are trained on which data, what varies with the seed, and what is
    compared. Each cell of the study is a few commands of netgen's: plan prints them, run runs them,
    several cells side by side, report writes what they came to. docs/studies.md describes the file;
    experiments/table2 and experiments/miniature have two.
    """


STUDY = click.argument("file", metavar="STUDY", type=STUDY_TOML)
ONLY = click.option(
    "--only",
    "names",
    multiple=True,
    metavar="CELL",
    help="Only this cell, with what it depends on; * and ? stand for anything; repeatable.",
)
LENGTH = (
    click.option(
        "--seeds",
        type=click.IntRange(1, 10_000),
        metavar="N",
        help="Other than the study's number of seeds.",
    ),
    click.option(
        "--iterations",
        type=click.IntRange(1, 10**9),
        metavar="N",
        help="Other than the recipe's length of a training; other lengths change in proportion.",
    ),
)
CHANGES = (
    *LENGTH,
    click.option(
        "--work",
        type=PrintablePath(file_okay=False),
        help="The folder for databases, trainings and results.  [default: the study's, runs/NAME]",
    ),
)
WHERE = (
    click.option("--gpu", type=click.IntRange(0), metavar="N", help="Train and test on this GPU."),
    click.option(
        "--solver-mode",
        type=click.Choice(["cpu", "gpu"]),
        help="Where networks train that are not built yet.  [default: as the study says]",
    ),
)


def change_options(called: Callable[..., None]) -> Callable[..., None]:
    """Add the options that change what a study says."""
    return with_options(called, *CHANGES)


def plan_options(called: Callable[..., None]) -> Callable[..., None]:
    """Add the options that decide on a plan."""
    return with_options(called, STUDY, *CHANGES, *WHERE)


def planned(
    file: Path,
    seeds: int | None,
    iterations: int | None,
    work: Path | None,
    gpu: int | None = None,
    solver_mode: str | None = None,
) -> Plan:
    """Return the plan that the options ask for."""
    from netgen.pipeline.study.study_changes import Changes
    from netgen.pipeline.study.study_plan import plan_study

    if solver_mode == "cpu" and gpu is not None:
        raise click.UsageError("--solver-mode cpu trains without a GPU: omit it, or --gpu")
    return plan_study(file, Changes(seeds, iterations, work), gpu, solver_mode)


def chosen(plan: Plan, names: tuple[str, ...], choose: bool = False) -> list[Cell]:
    """Return the cells that the options ask for; a name of none is wrong usage."""
    if names and choose:
        raise click.UsageError("--only and --choose exclude each other")
    if choose and not plan.trials:
        raise click.UsageError(f"{plan.file} has no [choose]: omit --choose")
    try:
        return plan.named(names) if names else plan.trials if choose else plan.wanted
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--only") from None


@command.command("plan", short_help="Print every command of a study, or the jobs of a cluster.")
@plan_options
@ONLY
@click.option("--choose", is_flag=True, help="The trials that choose settings, instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@job_options
def plan_command(
    file: Path,
    names: tuple[str, ...],
    choose: bool,
    as_json: bool,
    jobs: dict[str, Any],
    **options: Any,
) -> None:
    """Print every command of a study, cell by cell in an order that works; what is done, as such.

    With --on, print the jobs of a cluster instead, one per cell: docs/cluster.md.
    """
    from netgen.pipeline.running.begun import check_begun
    from netgen.pipeline.running.foreseen import check_foreseen

    if jobs["scheduler"]:
        refuse_given(("as_json",), "is for the commands themselves: omit it with --on")
        refuse_given(
            ("gpu",), "is not for jobs, as the scheduler gives each its GPU: omit it with --on"
        )
    else:
        refuse_given(OF_JOBS, "is for jobs: add --on slurm or --on kubernetes, or omit it")
    plan = planned(file, **options)
    cells = plan.with_needs(chosen(plan, names, choose))
    check_begun(plan, cells)
    check_foreseen(plan, cells)
    if jobs["scheduler"]:
        _print_jobs(plan, cells, file, jobs, options)
        return
    if as_json:
        click.echo(json.dumps([_as_data(plan, cell) for cell in cells], indent=2))
        return
    for cell in cells:
        after = f", after {', '.join(cell.needs)}" if cell.needs else ""
        click.echo(f"# {cell.name}{after}")
        for line in lines_of(cell):
            click.echo(line)
    count = sum(1 for cell in cells if cell.trained)
    click.echo(f"\nnetworks: {count:,}; databases: {len(cells) - count:,}", err=True)


def lines_of(cell: Cell) -> list[str]:
    """Return a cell's commands as typed, each that is done marked so."""
    from netgen.pipeline.study.cells import as_typed

    left = cell.left
    return [f"{'' if step in left else '# done: '}{as_typed(step.words)}" for step in cell.steps]


def _as_data(plan: Plan, cell: Cell) -> dict[str, object]:
    from netgen.pipeline.running.study_run import state_of
    from netgen.pipeline.study.cells import as_typed

    return {
        "cell": cell.name,
        "after": list(cell.needs),
        "state": state_of(plan, cell),
        "commands": [as_typed(step.words) for step in cell.steps],
    }


def _print_jobs(
    plan: Plan, cells: list[Cell], file: Path, jobs: dict[str, Any], options: dict[str, Any]
) -> None:
    from netgen.pipeline.running.jobs import cluster_jobs

    wait = ("--wait", "600") if jobs["scheduler"] == "kubernetes" else ()
    command = ("netgen", "study", "run", file.as_posix(), "--alone", *wait, "--only")
    given = {f"--{name}": options[name] for name in ("seeds", "iterations", "work")}
    mode = options["solver_mode"] or plan.study.solver_mode
    where = ("--gpu", "0") if mode == "gpu" else ("--solver-mode", "cpu")
    others = [word for flag, value in given.items() if value for word in (flag, str(value))]
    settings = job_settings(jobs, command, (*others, *where), mode)
    text = cluster_jobs(jobs["scheduler"], plan, cells, settings)
    click.echo(text, nl=False)


@command.command("run", short_help="Run a study, or some of its cells.")
@plan_options
@ONLY
@click.option("--choose", is_flag=True, help="Run the trials that choose settings.")
@jobs_option("Cells")
@click.option("--resume", is_flag=True, help="Resume a study that was stopped, killed or failed.")
@click.option(
    "--alone",
    is_flag=True,
    help="For jobs of a cluster: begin or resume, show the commands' output, and do not make what"
    " the cells depend on; exit code 75 if that is not done.",
)
@click.option(
    "--wait",
    type=click.IntRange(0),
    default=0,
    metavar="SECONDS",
    help="With --alone: wait this long for what the cells depend on.",
)
@click.option(
    "--out",
    type=PrintablePath(file_okay=False),
    help="The report's folder: README.md, results.json and pictures.  [default: STUDY's]",
)
def run_command(
    file: Path,
    names: tuple[str, ...],
    choose: bool,
    jobs: int,
    resume: bool,
    alone: bool,
    wait: int,
    out: Path | None,
    **options: Any,
) -> None:
    """Run what is left of a study, and write its report.

    Cells run side by side, each after those that it depends on. A cell that fails is told, and does
    not stop the others; the exit code is then 1. Ctrl-C stops all, and --resume goes on: nothing
    that is done is done again.
    """
    if alone:
        why = "is not for --alone, which makes one cell after the other and no report: omit it"
        refuse_given(("jobs", "resume", "out"), why)
    else:
        refuse_given(("wait",), "is for --alone: omit it, or add that")
    if choose:
        refuse_given(("out",), "is for a report, which --choose does not write: omit it")
    plan = planned(file, **options)
    if alone:
        run_alone(plan, chosen(plan, names, choose), wait)
        return
    run_and_report(plan, chosen(plan, names, choose), jobs, resume, out or file.parent,
                   names=names, choose=choose, changes=words_of(**options))  # fmt: skip


def words_of(seeds: int | None = None, iterations: int | None = None, **_: Any) -> str:
    """Return the options that change a study, as typed, with a space ahead."""
    given = {"--seeds": seeds, "--iterations": iterations}
    return "".join(f" {flag} {value}" for flag, value in given.items() if value is not None)


def run_and_report(
    plan: Plan,
    cells: list[Cell],
    jobs: int,
    resume: bool | None,
    out: Path,
    *,
    names: tuple[str, ...] = (),
    choose: bool = False,
    changes: str = "",
    again: str = "the same command with --resume goes on",
) -> None:
    """Make cells; then print those that were named, or the choice, or write the report."""
    from netgen.commands.study_running import print_cells, print_choice, run_request, write
    from netgen.pipeline.reporting.study_report import check_place
    from netgen.pipeline.running.begun import check_begun
    from netgen.pipeline.running.records import RESULTS
    from netgen.pipeline.running.study_run import Request

    chooses = choose or plan.wanted == plan.trials
    if not (names or chooses):  # before hours of training
        check_place(out)
        check_begun(plan, plan.cells.values())  # of the trials, too, which the report has
    run_request(Request(plan, cells, jobs, resume), again)
    if names:
        print_cells(plan, cells, out / RESULTS)
    elif chooses:
        print_choice(plan)
    else:
        write(plan, out, changes)


def run_alone(plan: Plan, cells: list[Cell], wait: int) -> None:
    """Make cells and nothing else, as a scheduler's job does."""
    from netgen.commands.study_running import run_request
    from netgen.pipeline.running.jobs import NOT_YET
    from netgen.pipeline.running.study_run import Request

    names = {cell.name for cell in cells}
    deadline = time.monotonic() + wait
    while left := [c.name for c in plan.with_needs(cells) if not c.is_done and c.name not in names]:
        if time.monotonic() >= deadline:
            click.echo(f"not done yet: {', '.join(left)}: make these first", err=True)
            click.get_current_context().exit(NOT_YET)
        time.sleep(POLL)
    request = Request(plan, cells, shown=True)
    run_request(request, "the same command goes on")


@command.command("status", short_help="Show how far each cell of a study is.")
@STUDY
@ONLY
@click.option("--choose", is_flag=True, help="The trials that choose settings, instead.")
@change_options
def status_command(file: Path, names: tuple[str, ...], choose: bool, **options: Any) -> None:
    """Show how far each cell of a study is: done, at an iteration, failed, waiting for others."""
    from netgen.pipeline.running.begun import check_begun
    from netgen.pipeline.running.study_run import state_of

    plan = planned(file, **options)
    wanted = chosen(plan, names, choose)
    whole = {cell.name: cell for cell in (*plan.with_needs(wanted), *wanted)}
    check_begun(plan, whole.values())
    print_table([{"cell": name, "state": state_of(plan, whole[name])} for name in whole])
    done = sum(cell.is_done for cell in wanted)
    click.echo(f"{done} of {len(wanted)} networks are done, in {shlex.quote(str(plan.work))}")


@command.command("report", short_help="Write the report of a study from its results.")
@STUDY
@change_options
@click.option(
    "--out",
    type=PrintablePath(file_okay=False),
    help="The report's folder.  [default: STUDY's]",
)
@click.option(
    "--also",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="RESULTS",
    help="A results.json with cells of the study that were made in another folder, or on another"
    " machine; repeatable.",
)
def report_command(file: Path, out: Path | None, also: tuple[Path, ...], **options: Any) -> None:
    """Write README.md, results.json and pictures of what is done of a study.

    A README.md without a results.json beside it is yours, and is not replaced.
    """
    from netgen.commands.study_running import write

    write(planned(file, **options), out or file.parent, words_of(**options), also)
