"""What every source's command ends with: making the dataset, with progress and a summary."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from data_prep.preparation import Planned
    from data_prep.records import Source
    from data_prep.request import Options


SHOWN = 10  # classes of a task, reasons for rejects


def make(source: Source, options: Options) -> None:
    """Make the dataset that `options` ask for; say how it goes, and what came of it."""
    from data_prep.convert import convert
    from netgen.commands.data_progress import watching

    with _interruptible(options), watching() as watch:
        planned = convert(source, options, watch)
    _tell_images(planned, source, options)
    _tell_left_out(planned, options)
    _tell_doubts(planned, options)
    if not options.dry_run:
        _tell_next(planned, options)


@contextmanager
def _interruptible(options: Options) -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does; say what is kept of one that ended before its time."""
    from data_prep.staging import workplace

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except (KeyboardInterrupt, OSError):
        if workplace(options.out).exists():
            click.echo("What is done is kept: the same command with --resume goes on.", err=True)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell_images(planned: Planned, source: Source, options: Options) -> None:
    from rich.filesize import decimal

    channels, height, width = planned.shape
    if options.dry_run:
        most = "less than " if options.encoded else "about "
        start, size = "a dry run, nothing written", most + decimal(planned.bytes)
    else:
        files = (file for file in options.out.rglob("*") if file.is_file())
        start, size = str(options.out), decimal(sum(file.stat().st_size for file in files))
    click.echo(
        f"{start}: {planned.train:,} training and {planned.test:,} test images of"
        f" {channels} x {height} x {width}, {size}"
    )
    for task, names in source.tasks.items():
        shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        click.echo(f"  {task}: {len(names):,} classes: {shown}")


def _tell_left_out(planned: Planned, options: Options) -> None:
    """Group rejects by reason, the most frequent first."""
    from data_prep.listings import REJECTS

    if not planned.rejects:
        return
    where = "" if options.dry_run else f": see {options.out / REJECTS}"
    click.echo(f"Left out: {sum(planned.rejects.values()):,}{where}")
    for reason, count in list(planned.rejects.items())[:SHOWN]:
        click.echo(f"  {count:,}: {reason}")
    others = list(planned.rejects.values())[SHOWN:]
    if others:
        click.echo(f"  {sum(others):,} for {len(others):,} other reasons")


def _tell_doubts(planned: Planned, options: Options) -> None:
    """Name what may be meant so, and may be a mistake."""
    from data_prep.listings import DUPLICATES
    from data_prep.splitting import warnings

    for warning in warnings(planned.counts):
        click.echo(f"Warning: {warning}")
    if planned.rotated and not options.rotate:
        click.echo(
            f"EXIF orientation: not applied to {planned.rotated:,} images, as OpenCV of 2016 did"
            " not (--rotate applies it)"
        )
    found = planned.duplicates
    if found.families:
        kept = "kept together" if options.group_duplicates else "--group-duplicates keeps together"
        where = "" if options.dry_run else f": see {options.out / DUPLICATES}"
        click.echo(
            f"Duplicates: {found.images:,} images in {found.families:,} families{where}; in both"
            f" splits {found.across:,} ({kept}), with different labels {found.torn:,}"
        )


def _tell_next(planned: Planned, options: Options) -> None:
    _, height, width = planned.shape
    file = shlex.quote(str(options.out / "dataset.toml"))
    # The paper's stem halves an image twice, and there are three halvings after it.
    stem = " --stem small" if min(height, width) < 64 else ""
    click.echo(f"Next: netgen build --variant xs --dataset {file}{stem} --out demo")
