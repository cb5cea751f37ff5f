"""What training a network takes: memory, and the snapshots that it leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netgen import paper
from netgen.build import Order, files
from netgen.complexity import count
from netgen.dataset import MTVSO, Dataset, read_dataset
from netgen.doctor.finding import Asked
from netgen.memory import FLOAT
from netgen.schema import parse_net
from netgen.training.room import needed_by
from netgen.variants import find

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
    order = Order(find(asked.variant, [task.name for task in dataset.tasks]), dataset)
    net = parse_net(files(order)[order.folder / "train_val.prototxt"])
    images = dataset.images
    hint = {"data": (images.channels, images.height, images.width)}
    hint |= {f"label_{task.name}": (1, 1, 1) for task in dataset.tasks}
    epoch = math.ceil(dataset.train.records / order.recipe.batch_size)
    iterations = order.recipe.max_iter or paper.MAX_EPOCHS * epoch
    made = max(1, iterations // (order.recipe.snapshot or epoch))
    # A caffemodel holds every parameter, a solverstate a momentum for each.
    size = 2 * FLOAT * count(net, "TRAIN", inputs=hint).parameters
    return Plan(dataset, needed_by(net, hint), min(KEPT, made), made, size)
