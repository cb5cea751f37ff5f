"""The options of jobs on a cluster, of `netgen study plan --on` and `netgen cluster`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.shared_options import PrintablePath, refuse_given, with_options

if TYPE_CHECKING:
    from netgen.pipeline.running.jobs import JobSettings, Scheduler

# Options that only one of the schedulers knows.
ONLY: dict[str, Scheduler] = {
    "hours": "slurm", "image": "kubernetes", "claim": "kubernetes", "user": "kubernetes",
}  # fmt: skip
OF_JOBS = ("folder", "memory", *ONLY)

# What a registry and Kubernetes (by RFC 1123, names as of hosts) can have under these names.
IMAGE = r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,511}"
CLAIM = r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"


def _as(pattern: str, what: str) -> Callable[[click.Context, click.Parameter, str], str]:
    """Return what refuses a value of an option that is not as `pattern`; `what` says that."""

    def checked(_: click.Context, option: click.Parameter, value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise click.BadParameter(f"{value!r} is not {what}", param=option)
        return value

    return checked


OPTIONS = (
    click.option(
        "--folder",
        type=PrintablePath(),
        default="/work",
        show_default=True,
        metavar="DIR",
        help="The folder with data/ and the weights, the same on every node; results go there too.",
    ),
    click.option(
        "--memory",
        type=click.IntRange(1, 4096),
        default=16,
        show_default=True,
        metavar="GIB",
        help="Memory per job (of the machine, not of the GPU).",
    ),
    click.option(
        "--hours",
        type=click.IntRange(1, 8760),
        default=72,
        show_default=True,
        metavar="N",
        help="Slurm: time limit per job; a job submitted again resumes.",
    ),
    click.option(
        "--image",
        default="netgen:cuda",
        callback=_as(IMAGE, "the name of an image, such as registry/me/netgen:cuda"),
        show_default=True,
        metavar="NAME",
        help="Kubernetes: the image of docker/cuda.",
    ),
    click.option(
        "--claim",
        default="netgen",
        callback=_as(CLAIM, "the name of a claim: small letters, digits, hyphens and dots"),
        show_default=True,
        metavar="NAME",
        help="Kubernetes: the volume claim that holds --folder.",
    ),
    click.option(
        "--user",
        type=click.IntRange(1, 2**31 - 1),
        default=1000,
        show_default=True,
        metavar="UID",
        help="Kubernetes: the user id of the folder's owner.",
    ),
)
ON = click.option(
    "--on",
    "scheduler",
    type=click.Choice(["slurm", "kubernetes"]),
    help="Print the jobs for this scheduler instead; the options below are theirs.",
)


def job_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--on` and the options of jobs, which a command gets as one argument: `jobs`."""
    return _gathered(command, (ON, *OPTIONS))


def cluster_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of jobs alone, for a command that says otherwise which scheduler it is."""
    return _gathered(command, OPTIONS)


def _gathered(
    command: Callable[..., None], options: tuple[Callable[..., Any], ...]
) -> Callable[..., None]:
    @wraps(command)
    def called(*arguments: Any, scheduler: Scheduler | None = None, **others: Any) -> None:
        jobs = {name: others.pop(name) for name in OF_JOBS}
        command(*arguments, jobs={"scheduler": scheduler, **jobs}, **others)

    return with_options(called, *options)


def job_settings(
    jobs: dict[str, Any], command: tuple[str, ...], options: tuple[str, ...], mode: str
) -> JobSettings:
    """Return the settings of jobs; refuse what would be ignored, and a folder that is relative.

    Raises
    ------
    click.UsageError
        An option is for the other scheduler, or the folder is relative.
    """
    from netgen.pipeline.running.jobs import JobSettings

    folder: Path = jobs["folder"]
    of_command = click.get_current_context().command.params
    flag = "--on " if "scheduler" in [param.name for param in of_command] else "--"
    for name, of in ONLY.items():
        if of != jobs["scheduler"]:
            refuse_given((name,), f"is for {flag}{of}: omit it with {flag}{jobs['scheduler']}")
    if not folder.is_absolute():
        what = f"{folder}: jobs start in another folder: give an absolute path, such as /work"
        raise click.BadParameter(what, param_hint="--folder")
    others = {name: jobs[name] for name in OF_JOBS if name != "folder"}
    return JobSettings(str(folder), command, options, mode, **others)
