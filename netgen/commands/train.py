"""`netgen train`: train as the paper did, in runs that can be resumed to the bit."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.shared_options import PrintablePath

if TYPE_CHECKING:
    from rich.console import Console

    from netgen.training.messages import Outcome
    from netgen.training.run_folder import Record, RunFolder

# What `--resume` may be combined with: the rest was decided when the run began.
WITH_RESUME = {"variant", "solver", "run", "resume", "inexact", "timeout"}


class Gpus(click.ParamType[tuple[int, ...]]):
    """Numbers of GPUs, as in ``0,1``."""

    name = "N[,N]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"\d{1,3}(,\d{1,3})*", str(value)):
            self.fail(f"{value!r} is no list of GPUs, such as 0 or 0,1", param, ctx)
        return tuple(dict.fromkeys(int(number) for number in str(value).split(",")))


@click.command("train", short_help="Train a network, or resume a run.")
@click.option("--variant", metavar="NAME", help="The network: solvers/NAME.prototxt trains it.")
@click.option(
    "--solver",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Another solver that `netgen build` wrote, such as demo/solvers/xs.prototxt.",
)
@click.option(
    "--gpu",
    type=Gpus(),
    default=(),
    help="Train on this GPU, or on several (0,1), then without exact resumes."
    "  [default: as the solver says]",
)
@click.option(
    "--weights",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A caffemodel to begin with (`netgen init`).  [default: the network's fillers]",
)
@click.option(
    "--run",
    type=PrintablePath(file_okay=False),
    metavar="DIR",
    help="The run's folder.  [default: runs/NAME]",
)
@click.option("--resume", is_flag=True, help="Go on with a run, exactly where it was.")
@click.option("--inexact", is_flag=True, help="Resume on another Caffe, BLAS or device, too.")
@click.option(
    "--plateau",
    metavar="WHAT",
    default="train",
    show_default=True,
    help="The loss that has to plateau for a drop of the rate: train, or a task's in the test;"
    " off for the solver's own policy.",
)
@click.option(
    "--window",
    type=click.IntRange(1),
    metavar="N",
    help="Iterations (or tests) whose mean loss is compared.  [default: an epoch, at least 100; 1"
    " test]",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    metavar="N",
    default=2,
    show_default=True,
    help="Windows in a row without a gain that are a plateau.",
)
@click.option(
    "--min-gain",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="X",
    default=0.01,
    show_default=True,
    help="The share of the best window's loss that another has to be smaller by, to be a gain.",
)
@click.option(
    "--drops",
    type=click.IntRange(0),
    metavar="N",
    default=3,
    show_default=True,
    help="Most drops of the rate, tenfold each: the next plateau, or one without a gain since the"
    " last drop, is convergence and ends the run.",
)
@click.option(
    "--best",
    metavar="TASK",
    help="Keep the snapshot of the best top-1 test accuracy of this task.  [default: the mean of"
    " all tasks]",
)
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    default=3,
    show_default=True,
    help="Newest snapshots to keep, besides the best.",
)
@click.option(
    "--round",
    "round_",
    type=click.IntRange(1),
    metavar="N",
    help="Passes over the training images in a round, the most that a resume reads again (without"
    " computing).  [default: one, or as many as make 2,000 iterations]",
)
@click.option(
    "--explosion",
    type=click.FloatRange(1, min_open=True),
    metavar="X",
    default=10.0,
    show_default=True,
    help="Stop when the loss is that many times the first one.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    metavar="SECONDS",
    default=1800.0,
    show_default=True,
    help="Stop when Caffe makes no progress for so long.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    variant: str | None,
    solver: Path | None,
    run: Path | None,
    resume: bool,
    inexact: bool,
    timeout: float,
    **options: Any,
) -> None:
    """Train a network that `netgen build` wrote, in the folder where it was built.

    The rate is divided by ten "whenever the loss plateaued until convergence" (section 5.2). All
    that a run is goes into its folder: prototxts, log.jsonl, curves.png, snapshots, Caffe's log.

    Ctrl-C makes a snapshot and stops. --resume goes on exactly where the run was, whatever ended
    it: on a CPU, the final weights are bit for bit those of a run that nothing interrupted.
    """
    from netgen.training.run_folder import RunFolder

    if variant is None and solver is None and not (resume and run):
        raise click.UsageError("say --variant NAME (`netgen list`) or --solver FILE")
    name = variant or (solver.stem if solver else "")
    folder = RunFolder(run or Path("runs") / name)
    if resume:
        _check_resume(ctx)
        outcome = _resume(folder, name, inexact, timeout)
    else:
        file = solver or Path("solvers") / f"{name}.prototxt"
        outcome = _begin(folder, file, name, timeout, **options)
    _tell_end(ctx, folder, outcome)


def _check_resume(ctx: click.Context) -> None:
    """Refuse what was decided when the run began."""
    for option in ctx.command.params:
        name = option.name or ""
        given = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and name not in WITH_RESUME:
            raise click.UsageError(
                f"{option.opts[0]} was decided when the run began (run.json): leave it out"
            )


def _begin(
    folder: RunFolder,
    file: Path,
    name: str,
    timeout: float,
    *,
    weights: Path | None,
    **options: Any,
) -> Outcome:
    from netgen.training import driver
    from netgen.training.prepare import make_plan

    if not file.is_file():
        raise click.BadParameter(
            f"{file} does not exist: write it with `netgen build`, or name one with --solver"
        )
    with driver.holding(folder, new=True):
        plan = make_plan(file, name, _wishes(**options))
        record = driver.begin(folder, plan, name, weights, _words())
        return _work(folder, record, timeout)


def _resume(folder: RunFolder, name: str, inexact: bool, timeout: float) -> Outcome:
    from netgen.training import driver
    from netgen.training.run_folder import RunError

    with driver.holding(folder, new=False):
        record = folder.read()
        if name and name != record.variant:
            raise RunError(
                f"{folder.path}: a run of {record.variant!r}, not of {name!r}: name its own folder"
                " (--run)"
            )
        start = driver.take_up(folder, record, inexact, click.echo)
        if outcome := driver.ended(folder, record, start):
            return outcome
        iteration = start.iteration if start else 0
        click.echo(f"{folder.path}: going on from iteration {iteration:,}")
        return _work(folder, record, timeout)


def _wishes(*, min_gain: float, gpu: tuple[int, ...], **options: Any) -> Any:
    from netgen.training.prepare import Wishes

    return Wishes(gain=min_gain, gpus=gpu, **options)


def _work(folder: RunFolder, record: Record, timeout: float) -> Outcome:
    """Train, and show it."""
    from rich.console import Console

    from netgen.caffe.engine import find_engine
    from netgen.training import driver, several_gpus
    from netgen.training.display import Curves, Display
    from netgen.training.memory_check import check_room

    console = Console(highlight=False, markup=False)
    _tell_plan(console, folder, record)
    room = check_room(record.plan, folder.net)
    console.print(f"memory: about {room} (estimated)")
    display = Display(console, record.plan)
    curves = Curves(folder.journal, folder.curves)

    def heard(message: Any) -> None:
        display.heard(message)
        if isinstance(message, dict) and message["event"] == "test":
            curves.renew()

    try:
        with display.showing():
            watcher = driver.Watcher(heard, display.said)
            if len(record.plan.gpus) > 1:
                return several_gpus.train(folder, record, watcher, find_engine().program)
            return driver.train(folder, record, watcher, timeout)
    finally:
        curves.renew(at_once=True)


def _tell_plan(console: Console, folder: RunFolder, record: Record) -> None:
    """Say what will be done: what the user did not ask for should not surprise them."""
    plan, engine = record.plan, record.engine
    rule = plan.rule
    lines = [
        f"{folder.path}: {plan.parameters.max_iter:,} iterations of {plan.batch} at most, an epoch"
        f" is {plan.records / plan.batch:,.1f}; rounds of {plan.round_iterations:,}",
        f"engine: Caffe {engine.version}, {engine.blas}, {engine.threads} threads, {engine.device}",
    ]
    if rule:
        what = f"tests of {plan.observed}" if plan.observed else "iterations of the training loss"
        lines.append(
            f"the rate drops tenfold, {rule.drops} times at most, when {rule.patience} windows of"
            f" {rule.window:,} {what} gain less than {100 * rule.gain:g}%"
        )
    for line in lines:
        console.print(line, soft_wrap=True)


def _words() -> list[str]:
    return ["netgen", *sys.argv[1:]]


def _tell_end(ctx: click.Context, folder: RunFolder, outcome: Outcome) -> None:
    """Say how it ended and what can be done next; after a signal, exit as one does."""
    from netgen.training.driver import how_to_resume

    at = f"iteration {outcome.iteration:,}"
    if outcome.why == "stopped":
        name = signal.Signals(outcome.signal or signal.SIGINT).name
        click.echo(f"stopped at {at} by {name}, {outcome.what}. {how_to_resume(folder)}")
        ctx.exit(128 + (outcome.signal or signal.SIGINT))
    if outcome.why == "failed":
        raise click.ClickException(
            f"stopped at {at}: {outcome.what}. The newest snapshot is from before that: begin again"
            " with a smaller base_lr or other weights"
        )
    words = {"converged": "converged", "max_iter": "done"}
    click.echo(f"{words[outcome.why]} at {at}: {outcome.what}. All of it is in {folder.path}")
