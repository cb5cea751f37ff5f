"""`netgen train`: train as the paper did, with runs that resume to the bit."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.number_types import Finite
from netgen.commands.shared_options import PrintablePath, refuse_given, variant_option
from netgen.commands.trained_options import newest_of_run
from netgen.system.interrupts import exit_status
from netgen.training.training_options import TrainingOptions

if TYPE_CHECKING:
    from rich.console import Console

    from netgen.training.display import Curves
    from netgen.training.run_folder import RunFolder, RunRecord
    from netgen.training.state import Outcome

GPU, *REST = fields(TrainingOptions)
LONGEST_TIMEOUT = 1e6  # seconds, 11 days; a pipe is waited for at most 24
# Decided when a run begins, so not allowed with --resume.
DECIDED = {field.name for field in fields(TrainingOptions)} | {"weights"}
OF_THE_RULE = ("window", "patience", "min_gain", "drops")  # by which plateaus are found


class Gpus(click.ParamType[tuple[int, ...]]):
    """Numbers of GPUs, such as ``0,1``."""

    name = "N[,N]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"\d{1,3}(,\d{1,3})*", str(value)):
            self.fail(f"{value!r} is not a list of GPUs, such as 0 or 0,1", param, ctx)
        return tuple(dict.fromkeys(int(number) for number in str(value).split(",")))


def _options(options: Sequence[Field[Any]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command one option for each of some training options."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for field in reversed(options):
            command = click.option(
                f"--{field.name.strip('_').replace('_', '-')}",
                field.name,
                type=_type(field),
                default=field.default,
                show_default=field.default not in (None, ()),
                metavar=field.metadata["metavar"],
                help=field.metadata["help"],
            )(command)
        return command

    return decorate


def _type(field: Field[Any]) -> click.ParamType[Any]:
    """Return the type that an option's values are checked by."""
    limits = field.metadata["limits"]
    if isinstance(field.default, tuple):
        return Gpus()
    if isinstance(field.default, float):
        return Finite(**limits)
    return click.IntRange(**limits) if limits else click.STRING


@click.command("train", short_help="Train a network, or resume a run.")
@variant_option(
    help="The network: solvers/NAME.prototxt trains it.",
)
@click.option(
    "--solver",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Another solver that `netgen build` wrote, such as demo/solvers/xs.prototxt.",
)
@_options([GPU])
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    callback=newest_of_run,
    metavar="FILE|RUN",
    help="Initial weights: a caffemodel, as from `netgen init` (section 5.2: from ImageNet's), or"
    " the folder of a training: its newest snapshot.  [default: random, by the network's fillers]",
)
@click.option(
    "--run",
    type=PrintablePath(file_okay=False),
    metavar="DIR",
    help="The run's folder.  [default: runs/NAME]",
)
@click.option("--resume", is_flag=True, help="Resume a run exactly where it stopped.")
@click.option(
    "--inexact",
    is_flag=True,
    help="Allow --resume on another Caffe, BLAS or device: the weights will differ.",
)
@_options(REST)
@click.option(
    "--tensorboard",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the journal's numbers as TensorBoard's events, too. With --resume, all from the"
    " run's beginning, also of a run that has ended.",
)
@click.option(
    "--timeout",
    type=Finite(1, LONGEST_TIMEOUT),
    metavar="SECONDS",
    default=1800.0,
    show_default=True,
    help="Stop when Caffe makes no progress for this long.",
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
    tensorboard: Path | None,
    timeout: float,
    **options: Any,
) -> None:
    """Train a network that `netgen build` wrote, in the folder where it was built.

    Section 5.2 started from ImageNet's weights: make --weights with `netgen init`. The rate is
    divided by ten "whenever the loss plateaued until convergence". All files of a run are in its
    folder: prototxts, log.jsonl, curves.png, snapshots, Caffe's log.

    Ctrl-C takes a snapshot and stops. --resume continues from the newest snapshot, whatever ended
    the run. The final weights are the same, bit for bit, as without an interruption: on a CPU, and
    on a GPU without cuDNN.
    """
    from netgen.training.run_folder import RunFolder

    if variant is None and solver is None and not (resume and run):
        if resume:
            raise click.UsageError("name the run: --run DIR, or --variant NAME for runs/NAME")
        raise click.UsageError("give --variant NAME (`netgen list`) or --solver FILE")
    if variant and solver:
        raise click.UsageError(
            "--variant NAME means solvers/NAME.prototxt, --solver another file: give one of them"
        )
    _check_effect(ctx, resume)
    name = variant or (solver.stem if solver else "")
    folder = RunFolder(run or Path("runs") / name)
    if resume:
        _check_resume(ctx)
        outcome = _resume(folder, name, inexact, tensorboard, timeout)
    else:
        file = solver or Path("solvers") / f"{name}.prototxt"
        outcome = _begin(folder, file, name, tensorboard, timeout, **options)
    _report_end(ctx, folder, outcome, tensorboard)


def _check_effect(ctx: click.Context, resume: bool) -> None:
    """Refuse options that would change nothing."""
    _check_timeout(ctx.params["gpu"])
    if not resume:
        refuse_given(("inexact",), "is for --resume: add that, or omit it")
        if ctx.params["plateau"] == "off":
            refuse_given(OF_THE_RULE, "is for plateaus, which --plateau off ignores: omit it")


def _check_resume(ctx: click.Context) -> None:
    """Refuse options that were decided when the run began."""
    refuse_given(DECIDED, "was decided when the run began (run.json): omit it")


def _check_timeout(gpus: Sequence[int]) -> None:
    """Refuse a limit that nothing keeps: on several GPUs, Caffe's own program trains."""
    if len(gpus) > 1:
        refuse_given(("timeout",), "is for training on one device: omit it with several GPUs")


def _begin(
    folder: RunFolder,
    file: Path,
    name: str,
    tensorboard: Path | None,
    timeout: float,
    *,
    weights: Path | None,
    **options: Any,
) -> Outcome:
    from netgen.training import driver
    from netgen.training.events import check_events
    from netgen.training.prepare import make_plan, random_start

    if not file.is_file():
        raise click.BadParameter(
            f"{file} does not exist: write it with `netgen build`, or name one with --solver"
        )
    with driver.locked_folder(folder, new=True):
        plan = make_plan(file, name, TrainingOptions(**options))
        if weights is None and (note := random_start(name, Path(plan.parameters.net))):
            click.echo(f"note: {note}", err=True)
        if tensorboard:
            check_events(tensorboard)
        record = driver.begin(folder, plan, name, weights, ["netgen", *sys.argv[1:]])
        return _train(folder, record, tensorboard, timeout)


def _resume(
    folder: RunFolder, name: str, inexact: bool, tensorboard: Path | None, timeout: float
) -> Outcome:
    from netgen.training import driver
    from netgen.training.events import check_events, events_of
    from netgen.training.run_folder import RunError

    with driver.locked_folder(folder, new=False):
        record = folder.read()
        if name and name != record.variant:
            raise RunError(
                f"{folder.path}: a run of {record.variant!r}, not of {name!r}: name its own folder"
                " (--run)"
            )
        _check_timeout(record.plan.gpus)
        if tensorboard:
            check_events(tensorboard, folder)
        start = driver.resume(folder, record, inexact, click.echo)
        if outcome := driver.completed(folder, record, start):
            with events_of(folder, tensorboard, click.echo):
                # It may have been killed after its last iteration, before they were drawn.
                _curves_of(folder).renew(at_once=True)
                return outcome
        iteration = start.iteration if start else 0
        click.echo(f"{folder.path}: resuming from iteration {iteration:,}")
        return _train(folder, record, tensorboard, timeout)


def _train(
    folder: RunFolder, record: RunRecord, tensorboard: Path | None, timeout: float
) -> Outcome:
    """Train, and show the progress."""
    from netgen.caffe.engine import find_engine
    from netgen.training import driver, several_gpus
    from netgen.training.display import Display, TrainingConsole
    from netgen.training.events import events_of
    from netgen.training.memory_check import check_memory

    console = TrainingConsole(emoji=False, highlight=False, markup=False)
    _print_plan(console, folder, record)
    memory = check_memory(record.plan, folder.net)
    console.print(f"memory: about {memory} (estimated)")
    display = Display(console, record.plan)
    curves = _curves_of(folder)

    with events_of(folder, tensorboard, display.on_message) as tell:

        def on_event(event: Any) -> None:
            display.on_event(event)
            if isinstance(event, dict):
                tell(event)
                if event["event"] == "test":
                    curves.renew()

        try:
            with display.showing():
                listener = driver.RunListener(on_event, display.on_message)
                if len(record.plan.gpus) > 1:
                    return several_gpus.train(folder, record, listener, find_engine().program)
                return driver.train(folder, record, listener, timeout)
        finally:
            curves.renew(at_once=True)


def _curves_of(folder: RunFolder) -> Curves:
    """Return the curves of a run, to be drawn into its folder."""
    from netgen.training.display import Curves

    def draw() -> None:
        from netgen.figures.curves import draw_curves  # slow to import, and not needed at once

        draw_curves([folder.journal], folder.curves)

    return Curves(draw)


def _print_plan(console: Console, folder: RunFolder, record: RunRecord) -> None:
    """Print what will be done, defaults included."""
    plan, engine = record.plan, record.engine
    rule = plan.rule
    lines = [
        f"{folder.path}: at most {plan.parameters.max_iter:,} iterations of {plan.batch} images; an"
        f" epoch is {plan.records / plan.batch:,.1f} iterations",
        f"engine: Caffe {engine.version}, {engine.blas}, threads: {engine.threads},"
        f" {engine.device}",
    ]
    if rule:
        observed = f"{plan.observed} of tests" if plan.observed else "the training loss"
        lines.append(
            f"plateau rule on {observed}: window {rule.window:,}, patience {rule.patience},"
            f" minimal gain {100 * rule.gain:g}%, drops at most {rule.drops}"
        )
    for line in lines:
        console.print(line, soft_wrap=True)


def _report_end(
    ctx: click.Context, folder: RunFolder, outcome: Outcome, tensorboard: Path | None
) -> None:
    """Print how the run ended and what to do next; after a signal, exit with its status."""
    from netgen.training.driver import how_to_resume

    at = f"iteration {outcome.iteration:,}"
    if outcome.reason == "stopped":
        name = signal.Signals(outcome.signal or signal.SIGINT).name
        again = f" --tensorboard {shlex.quote(str(tensorboard))}" if tensorboard else ""
        how = how_to_resume(folder) + again
        click.echo(f"stopped at {at} by {name}, {outcome.detail}. {how}")
        ctx.exit(exit_status(outcome.signal or signal.SIGINT))
    if outcome.reason == "failed":
        raise click.ClickException(
            f"stopped at {at}: {outcome.detail}. All snapshots are from before that: begin"
            " another run with a smaller base_lr or other weights"
        )
    words = {"converged": "converged", "max_iter": "done"}
    click.echo(f"{words[outcome.reason]} at {at}: {outcome.detail}. All files are in {folder.path}")
    where, result = shlex.quote(str(folder.path)), shlex.quote(f"results/{folder.path.name}.json")
    click.echo(f"Next: netgen eval --weights {where} --out {result}", err=True)
