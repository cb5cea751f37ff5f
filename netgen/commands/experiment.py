"""`netgen experiment`: the paper's experiment in miniature, a committed study."""

from __future__ import annotations

from pathlib import Path

import click

from netgen.commands.shared_options import PrintablePath, jobs_option
from netgen.commands.study import chosen, run_and_report, words_of

REPORT = Path("experiments/miniature")


@click.group("experiment", short_help="Repeat the paper's comparison in miniature.")
def command() -> None:
    """Repeat the paper's comparison of networks in miniature, on images that you can make."""


@command.command("miniature", short_help="Train small networks on letters, and write a report.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    metavar="N",
    help="Trainings per network of Table 2; networks beyond it get at most 3.  [default: 5]",
)
@jobs_option("Trainings")
@click.option("--resume", is_flag=True, help="Resume an experiment that was stopped or killed.")
@click.option(
    "--iterations",
    type=click.IntRange(20, 1_000_000),
    metavar="N",
    help="Iterations per training.  [default: 1,200, as in the report]",
)
@click.option(
    "--only",
    "names",
    multiple=True,
    metavar="NETWORK-SEED",
    help="Run only this cell, such as xs-3, and compare it with the report's; repeatable.",
)
@click.option(
    "--choose",
    is_flag=True,
    help="Choose the learning rate, on the training images only.",
)
@click.option(
    "--data",
    type=PrintablePath(file_okay=False),
    help="The folder that examples/typefaces/make.py wrote.  [default: data/typefaces]",
)
@click.option(
    "--work",
    type=PrintablePath(file_okay=False),
    help="The folder for the experiment's databases and trainings.  [default: runs/miniature]",
)
@click.option(
    "--out",
    type=PrintablePath(file_okay=False),
    default=REPORT,
    show_default=True,
    help="The folder for the report: README.md, results.json and pictures.",
)
def miniature(
    seeds: int | None,
    jobs: int,
    resume: bool,
    iterations: int | None,
    names: tuple[str, ...],
    choose: bool,
    data: Path | None,
    work: Path | None,
    out: Path,
) -> None:
    """Train small versions of Table 2's networks on letters, and write a report.

    The single-task networks, X_0, X_1 and X_S have the paper's shape, start from the same
    pretrained trunk and are trained with the same recipe. Variations that the paper speculates
    about follow. This takes an hour or more on two cores. Ctrl-C stops it, and --resume continues.

    This is the committed study experiments/miniature/study.toml: `netgen study plan` prints its
    commands.
    """
    from netgen.pipeline.study.study_changes import Changes
    from netgen.pipeline.study.study_plan import plan_study
    from netgen.pipeline.study.study_reading import committed

    changes = Changes(seeds=seeds, iterations=iterations, work=work, data=data)
    plan = plan_study(committed("miniature"), changes)
    cells = chosen(plan, names, choose)
    run_and_report(plan, cells, jobs, resume, out, names=names, choose=choose,
                   changes=words_of(seeds, iterations))  # fmt: skip
