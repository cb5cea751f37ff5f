"""Memory and disk, against what a network and a dataset need."""

from __future__ import annotations

import shutil
from math import prod
from pathlib import Path

from netgen.dataset import DatasetError
from netgen.doctor.finding import Asked, Finding, lack, ok
from netgen.doctor.gpu import NoGpuError, cards

GIB = 2**30
DATUM = 100  # bytes of a record besides its pixels, the database's own included


def memory(asked: Asked) -> list[Finding]:
    """Hold the memory that training needs (estimated) against what is free."""
    from netgen.doctor.plan import plan
    from netgen.training.room import machine_memory

    try:
        needed = plan(asked).memory
        free = cards()[0].memory if asked.gpu else machine_memory()[1]
    except DatasetError:
        return [_unknown("memory")]
    except NoGpuError as error:
        return [lack("memory", f"of which GPU? {error}", "see GPU", needed=False)]
    where = "on the GPU" if asked.gpu else "free"
    what = f"{asked.variant} needs {needed / GIB:.1f} GiB to train, {free / GIB:.1f} are {where}"
    if needed <= free:
        return [ok("memory", what)]
    step = "`netgen build --batch-size`, smaller; or a machine with more"
    return [lack("memory", what, step, needed=asked.gpu or asked.dataset is not None)]


def disk(asked: Asked) -> list[Finding]:
    """Hold the snapshots of a training, and the databases that are still to be made, against it."""
    from netgen.doctor.plan import plan

    try:
        planned = plan(asked)
    except DatasetError:
        return [_unknown("disk")]
    needed = planned.kept * planned.bytes
    what = f"{planned.kept} snapshots of {asked.variant}: {needed / GIB:.1f} GiB"
    what += f" (`caffe train` keeps {planned.made:,}: {planned.made * planned.bytes / GIB:.1f})"
    for split in (planned.dataset.train, planned.dataset.test):
        if not Path(split.images).exists():
            images = planned.dataset.images
            pixels = prod((images.channels, images.height, images.width))
            databases = split.records * (pixels + DATUM)
            what += f", {split.images}: {databases / GIB:.1f} GiB"
            needed += databases
    free = shutil.disk_usage(_existing(asked.out)).free
    what += f"; free: {free / GIB:.1f} GiB"
    if needed <= free:
        return [ok("disk", what)]
    step = "make room, or choose another --out"
    return [lack("disk", what, step, needed=asked.dataset is not None)]


def _unknown(about: str) -> Finding:
    return lack(about, "what is needed depends on the dataset", "see databases", needed=False)


def _existing(path: Path) -> Path:
    """Return the nearest folder that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())
