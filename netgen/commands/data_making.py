"""The last step of every source's command: make the dataset, with progress and a summary."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from data_prep.image_source import ImageSource
    from data_prep.planning import DatasetPlan
    from data_prep.request import DataOptions


SHOWN = 10  # classes of a task, and reasons for rejects


def make(source: ImageSource, options: DataOptions) -> None:
    """Make the dataset that `options` ask for, with progress, and print a summary."""
    from data_prep.convert import convert
    from netgen.commands.progress_bar import show_progress

    with _interruptible(options), show_progress() as progress:
        plan = convert(source, options, progress)
    _print_images(plan, source, options)
    _print_left_out(plan, options)
    _print_warnings(plan, options)
    if not options.dry_run:
        _print_next_command(plan, source, options)


@contextmanager
def _interruptible(options: DataOptions) -> Iterator[None]:
    """Print how to resume an interrupted run."""
    from data_prep.staging import workplace

    try:
        yield
    except (KeyboardInterrupt, OSError):
        if workplace(options.out).exists():
            click.echo("Finished work is kept: the same command with --resume continues.", err=True)
        raise


def _print_images(plan: DatasetPlan, source: ImageSource, options: DataOptions) -> None:
    from rich.filesize import decimal

    channels, height, width = plan.shape
    if options.dry_run:
        most = "less than " if options.encoded else "about "
        start, size = "a dry run, nothing written", most + decimal(plan.bytes)
    else:
        files = (file for file in options.out.rglob("*") if file.is_file())
        start, size = str(options.out), decimal(sum(file.stat().st_size for file in files))
    click.echo(
        f"{start}: {plan.train:,} training and {plan.test:,} test images of"
        f" {channels} x {height} x {width}, {size}"
    )
    for task, names in source.tasks.items():
        shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        click.echo(f"  {task}: {len(names):,} classes: {shown}")


def _print_left_out(plan: DatasetPlan, options: DataOptions) -> None:
    """Print the rejects by reason, the most frequent first."""
    from data_prep.listings import REJECTS

    if not plan.rejects:
        return
    where = "" if options.dry_run else f": see {options.out / REJECTS}"
    click.echo(f"Left out: {sum(plan.rejects.values()):,}{where}")
    for reason, count in list(plan.rejects.items())[:SHOWN]:
        click.echo(f"  {count:,}: {reason}")
    others = list(plan.rejects.values())[SHOWN:]
    if others:
        click.echo(f"  {sum(others):,} for {len(others):,} other reasons")


def _print_warnings(plan: DatasetPlan, options: DataOptions) -> None:
    """Print warnings about what may be a mistake."""
    from data_prep.listings import DUPLICATES
    from data_prep.splitting import warnings

    for warning in warnings(plan.counts):
        click.echo(f"Warning: {warning}")
    if plan.rotated and not options.rotate:
        click.echo(
            f"EXIF orientation: not applied to {plan.rotated:,} images, as OpenCV of 2016 did"
            " not (--rotate applies it)"
        )
    found = plan.duplicates
    if found.families:
        kept = "each kept on one side of the split"
        if not plan.grouped:
            kept = f"{found.across:,} on both sides of the split, where it puts them"
        where = "" if options.dry_run else f": see {options.out / DUPLICATES}"
        click.echo(
            f"Duplicates: {found.images:,} images in {found.families:,} families of the same"
            f" pixels{' or nearly so' if options.perceptual else ''}, {kept}; {found.torn:,}"
            f" families with different labels{where}"
        )


def _print_next_command(plan: DatasetPlan, source: ImageSource, options: DataOptions) -> None:
    _, height, width = plan.shape
    file = shlex.quote(str(options.out / "dataset.toml"))
    # The paper's stem halves an image twice, and there are three halvings after it.
    stem = " --stem small" if min(height, width) < 64 else ""
    # One task has nothing to cross with.
    variant = "xs" if len(source.tasks) > 1 else f"resnet50-{next(iter(source.tasks))}"
    out = shlex.quote(options.out.absolute().name)
    click.echo(f"Next: netgen build --variant {variant} --dataset {file}{stem} --out {out}")
