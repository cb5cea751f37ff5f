"""Check memory and disk for a network and a dataset."""

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
from netgen.doctor.findings import DoctorFinding, DoctorRequest, lack, ok
from netgen.network.build import BuildSpec, network_files
from netgen.network.dataset import MTVSO, Dataset, DatasetError, read_dataset
from netgen.network.variants import find
from netgen.system import machine
from netgen.system.text import gib
from netgen.training.memory_check import needed_by

# Snapshots that `netgen train` keeps: the newest three, the best, and one while it is written.
KEPT = 5
BESIDE_PIXELS = 100  # bytes of an image's record in a database


@dataclass(frozen=True)
class TrainingNeeds:
    """What a training needs: its data, memory in bytes, and snapshots of `bytes` each.

    `netgen train` keeps `kept` snapshots at a time, `caffe train` all that are `made`.
    """

    dataset: Dataset
    memory: int
    kept: int
    made: int
    bytes: int


def training_needs(request: DoctorRequest) -> TrainingNeeds:
    """Return what training a variant with the paper's recipe needs.

    Raises
    ------
    ValueError
        There is no such variant or dataset, or it cannot be built.
    """
    dataset = read_dataset(request.dataset) if request.dataset else MTVSO
    order = BuildSpec(find(request.variant, [task.name for task in dataset.tasks]), dataset)
    net = parse_net(network_files(order)[order.folder / "train_val.prototxt"])
    images = dataset.images
    hint = {"data": (images.channels, images.height, images.width)}
    hint |= {f"label_{task.name}": (1, 1, 1) for task in dataset.tasks}
    epoch = math.ceil(dataset.train.records / order.recipe.batch_size)
    iterations = order.recipe.max_iter or paper.MAX_EPOCHS * epoch
    made = max(1, iterations // (order.recipe.snapshot or epoch))
    # A caffemodel holds every parameter, a solverstate a momentum for each.
    size = 2 * FLOAT * count(net, "TRAIN", inputs=hint).parameters
    memory = needed_by(net, hint, gpu=request.gpu)
    return TrainingNeeds(dataset, memory, min(KEPT, made), made, size)


# ---- the probes ---------------------------------------------------------------------------------


def examine_memory(request: DoctorRequest) -> list[DoctorFinding]:
    """Compare the memory that training needs (estimated) with what is free."""
    try:
        needed = training_needs(request).memory
        free = machine.gpus()[0].memory if request.gpu else machine.machine_memory()[1]
    except DatasetError:
        return [_unknown("memory")]
    except machine.GpuError as error:
        return [lack("memory", f"unknown without a GPU: {error}", "see GPU", needed=False)]
    if free is None:
        what = "the driver does not report how much the GPU has"
        return [lack("memory", what, "see `nvidia-smi`", needed=False)]
    where = "on the GPU" if request.gpu else "free"
    what = f"{request.variant} needs {gib(needed):.1f} GiB to train, {gib(free):.1f} are {where}"
    if needed <= free:
        return [ok("memory", what)]
    step = "build with a smaller `netgen build --batch-size`, or use a machine with more memory"
    return [lack("memory", what, step, needed=request.gpu or request.dataset is not None)]


def examine_disk(request: DoctorRequest) -> list[DoctorFinding]:
    """Compare the free space with the size of snapshots and of databases still to be made."""
    try:
        needs = training_needs(request)
    except DatasetError:
        return [_unknown("disk")]
    needed = needs.kept * needs.bytes
    what = f"{needs.kept} snapshots of {request.variant}: {gib(needed):.1f} GiB"
    what += f" (`caffe train` keeps {needs.made:,}: {gib(needs.made * needs.bytes):.1f})"
    for split in (needs.dataset.train, needs.dataset.test):
        if not Path(split.images).exists():
            images = needs.dataset.images
            pixels = prod((images.channels, images.height, images.width))
            databases = split.records * (pixels + BESIDE_PIXELS)
            what += f", {split.images}: {gib(databases):.1f} GiB"
            needed += databases
    free = shutil.disk_usage(_existing(request.out)).free
    what += f"; free: {gib(free):.1f} GiB"
    if needed <= free:
        return [ok("disk", what)]
    step = "free some space, or choose another --out"
    return [lack("disk", what, step, needed=request.dataset is not None)]


def _unknown(about: str) -> DoctorFinding:
    return lack(about, "the need depends on the dataset", "see databases", needed=False)


def _existing(path: Path) -> Path:
    """Return the nearest folder that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())
