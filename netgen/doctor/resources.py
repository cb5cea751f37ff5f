"""Memory and disk, against what a network and a dataset need."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from math import prod
from pathlib import Path

from netgen import paper
from netgen.caffe.schema import parse_net
from netgen.cost.complexity import count
from netgen.cost.memory import FLOAT
from netgen.doctor.caffe_and_gpu import NoGpuError, cards
from netgen.doctor.probe import Asked, Finding, lack, ok
from netgen.network.build import BuildSpec, network_files
from netgen.network.dataset import MTVSO, Dataset, DatasetError, read_dataset
from netgen.network.variants import find
from netgen.training.memory_check import needed_by

KEPT = 5  # snapshots of `netgen train`: the newest three, the best, and one while it is written


@dataclass(frozen=True)
class Plan:
    """A training: its data, the bytes of memory it needs, and its snapshots.

    `kept` snapshots, of so many `bytes` each, are there at a time; `caffe train` keeps all `made`.
    """

    dataset: Dataset
    memory: int
    kept: int
    made: int
    bytes: int


def plan(asked: Asked) -> Plan:
    """Return what training a variant with the paper's recipe takes.

    Raises
    ------
    ValueError
        There is no such variant or dataset, or it cannot be built.
    """
    dataset = read_dataset(asked.dataset) if asked.dataset else MTVSO
    order = BuildSpec(find(asked.variant, [task.name for task in dataset.tasks]), dataset)
    net = parse_net(network_files(order)[order.folder / "train_val.prototxt"])
    images = dataset.images
    hint = {"data": (images.channels, images.height, images.width)}
    hint |= {f"label_{task.name}": (1, 1, 1) for task in dataset.tasks}
    epoch = math.ceil(dataset.train.records / order.recipe.batch_size)
    iterations = order.recipe.max_iter or paper.MAX_EPOCHS * epoch
    made = max(1, iterations // (order.recipe.snapshot or epoch))
    # A caffemodel holds every parameter, a solverstate a momentum for each.
    size = 2 * FLOAT * count(net, "TRAIN", inputs=hint).parameters
    return Plan(dataset, needed_by(net, hint), min(KEPT, made), made, size)


# ---- memory and disk, against what a network and a dataset need ---------------------------------

GIB = 2**30
DATUM = 100  # bytes of a record besides its pixels, the database's own included


def memory(asked: Asked) -> list[Finding]:
    """Hold the memory that training needs (estimated) against what is free."""
    from netgen.training.memory_check import machine_memory

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
