"""Memory and disk, against what a network and a dataset need."""

from __future__ import annotations

import shutil
from contextlib import suppress
from math import prod
from pathlib import Path

from netgen.doctor.finding import Asked, Finding, lack, ok
from netgen.doctor.gpu import NoGpuError, cards

GIB = 2**30
DATUM = 100  # bytes of a record besides its pixels, the database's own included


def memory(asked: Asked) -> list[Finding]:
    """Hold the memory that training needs (estimated) against what is free."""
    from netgen.doctor.plan import plan

    needed = plan(asked).memory
    try:
        free, where = (cards()[0].memory, "on the GPU") if asked.gpu else (_free(), "free")
    except NoGpuError as error:
        return [lack("memory", f"of which GPU? {error}", "see GPU", needed=False)]
    what = f"{asked.variant} needs {needed / GIB:.1f} GiB to train, {free / GIB:.1f} are {where}"
    if needed <= free:
        return [ok("memory", what)]
    step = "`netgen build --batch-size`, smaller; or a machine with more"
    return [lack("memory", what, step, needed=asked.gpu or asked.dataset is not None)]


def disk(asked: Asked) -> list[Finding]:
    """Hold the snapshots of a training, and the databases that are still to be made, against it."""
    from netgen.doctor.plan import plan

    planned = plan(asked)
    needed = planned.snapshots
    what = f"{planned.count:,} snapshots of {asked.variant}: {planned.snapshots / GIB:.1f} GiB"
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
    step = "make room, choose another --out, or snapshot less often (`netgen build --snapshot`)"
    return [lack("disk", what, step, needed=asked.dataset is not None)]


def _existing(path: Path) -> Path:
    """Return the nearest folder that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def _free() -> int:
    """Return the bytes that processes can have: the machine's, or this container's if fewer."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    kib = dict(line.split(":") for line in lines)["MemAvailable"].removesuffix("kB")
    free = int(kib) * 1024
    with suppress(OSError, ValueError):  # no cgroup 2, or no limit ("max")
        free = min(free, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return free
