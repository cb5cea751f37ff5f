"""A variant, a dataset and a recipe -> the texts of train_val, deploy and solver.

This is where the rooms meet: `architecture` says what the network is, the templates what prototxt
looks like, and `complexity`, which reads what came out, how large a test batch fits the card.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from netgen import paper
from netgen.caffe.schema import parse_net
from netgen.cost.complexity import count
from netgen.network.architecture import network
from netgen.network.dataset import MTVSO, Dataset
from netgen.network.render import render
from netgen.network.residual import Backbone
from netgen.network.variants import UnsuitedError, Variant, find
from netgen.paper import Recipe

SolverMode = Literal["CPU", "GPU"]
Kind = Literal["train_val", "deploy"]

GIB = 2**30
# Caffe writes snapshots here and does not make the folder: it has to exist, and to stay out of git.
SNAPSHOTS_IGNORED = "# Caffe's snapshots: made by training, not kept in git.\n*\n!.gitignore\n"


class TooLargeError(ValueError):
    """A network that does not fit the memory; the message says what to change."""


@dataclass(frozen=True)
class Order:
    """What to build: a network, for a dataset, trained by a recipe, written below `out`.

    `backbone` is None for the network's own width and depth; `command` is what made it, for the
    files' headers.
    """

    variant: Variant
    dataset: Dataset = MTVSO
    backbone: Backbone | None = None
    recipe: Recipe = field(default_factory=Recipe)
    out: Path = Path()
    solver_mode: SolverMode = "GPU"
    command: str = ""

    @property
    def folder(self) -> Path:
        """The folder of the network's files."""
        return self.out / "models" / self.variant.name

    @property
    def solver(self) -> Path:
        """The file of the network's solver."""
        return self.out / "solvers" / f"{self.variant.name}.prototxt"

    @property
    def train_command(self) -> str:
        """How to train the network with Caffe."""
        gpu = " -gpu 0" if self.solver_mode == "GPU" else ""
        return f"caffe train -solver {shlex.quote(self.solver.as_posix())}{gpu}"


@dataclass(frozen=True)
class Schedule:
    """When Caffe tests, snapshots and stops, in iterations."""

    test_interval: int
    snapshot: int
    max_iter: int


def files(order: Order) -> dict[Path, str]:
    """Return the files of a network and their texts: train_val, deploy, solver, snapshot folder.

    Of a network that is not trained, deploy alone.

    Raises
    ------
    UnsuitedError
        The dataset, the backbone or the recipe is not for this network.
    ValueError
        The network cannot be built, or does not fit the memory.
    """
    _check_recipe(order)
    common = _common(order)
    deploy = {order.folder / "deploy.prototxt": render("deploy.prototxt", **common)}
    if not order.variant.row.is_trained:
        return deploy
    test_batch, gib = _test_batch(order, common)
    epoch = math.ceil(order.dataset.train.records / order.recipe.batch_size)
    return {
        order.folder / "train_val.prototxt": render(
            "train_val.prototxt", **common, test_batch=test_batch
        ),
        **deploy,
        order.solver: render(
            "solver.prototxt",
            **common,
            net_file=(order.folder / "train_val.prototxt").as_posix(),
            snapshot_prefix=(order.folder / "snapshots" / order.variant.name).as_posix(),
            train_command=order.train_command,
            test_batch=test_batch,
            test_iter=order.dataset.test.records // test_batch,
            memory=gib,
            epoch=epoch,
            schedule=_schedule(order.recipe, epoch),
            solver_mode=order.solver_mode,
        ),
        order.folder / "snapshots" / ".gitignore": SNAPSHOTS_IGNORED,
    }


def net_text(variant: str, kind: Kind | None = None) -> str:
    """Return the prototxt of a variant for the paper's dataset, as it is committed.

    `kind` is None for what is trained: train_val, or deploy of a network that is not.

    Raises
    ------
    ValueError
        There is no such variant.
    """
    return text_of(
        Order(find(variant, list(paper.TASKS)), command=f"netgen build --variant {variant}"), kind
    )


def text_of(order: Order, kind: Kind | None = None) -> str:
    """Return the prototxt of a network, whatever memory it takes; `kind` as in `net_text`.

    Raises
    ------
    UnsuitedError, ValueError
        As `files`, except of memory: a network that does not fit is tested one image at a time.
    """
    _check_recipe(order)
    common = _common(order)
    if kind == "deploy" or not order.variant.row.is_trained:
        return render("deploy.prototxt", **common)
    try:
        test_batch, _ = _test_batch(order, common)
    except TooLargeError:
        test_batch = 1
    return render("train_val.prototxt", **common, test_batch=test_batch)


def _check_recipe(order: Order) -> None:
    """Refuse what only batch normalisation has."""
    recipe, ours = order.recipe, Recipe()
    asked = (recipe.frozen_statistics, recipe.moving_average)
    if not order.variant.row.is_residual and asked != (ours.frozen_statistics, ours.moving_average):
        raise UnsuitedError(
            f"{order.variant.name} has no batch normalisation: --frozen-statistics and"
            " --moving-average are for ResNets"
        )


def _common(order: Order) -> dict[str, object]:
    return {
        "net": network(order.variant, order.dataset, order.backbone),
        "dataset": order.dataset,
        "recipe": order.recipe,
        "command": order.command,
    }


def _schedule(recipe: Recipe, epoch: int) -> Schedule:
    return Schedule(
        test_interval=recipe.test_interval or epoch,
        snapshot=recipe.snapshot or epoch,
        max_iter=recipe.max_iter or paper.MAX_EPOCHS * epoch,
    )


def _test_batch(order: Order, common: dict[str, object]) -> tuple[int, float]:
    """Return the test batch and the GiB that Caffe needs to train with it.

    The batch divides the test set, so that a test covers every image exactly once; it is the
    largest that is no larger than the training batch and fits the memory beside the training net.
    """
    net = parse_net(render("train_val.prototxt", **common, test_batch=1))
    images = order.dataset.images
    hint = {"data": (images.channels, images.height, images.width)}
    hint |= {f"label_{task}": (1, 1, 1) for task in order.variant.tasks}
    train = count(net, "TRAIN", inputs=hint).memory
    test = count(net, "TEST", inputs=hint).memory.beside(train)
    records = order.dataset.test.records
    for batch in range(min(order.recipe.batch_size, records), 0, -1):
        gib = (train.total + test.at(batch)) / GIB
        if records % batch == 0 and gib <= order.recipe.memory:
            return batch, gib
    raise TooLargeError(
        f"{order.variant.name} needs about {(train.total + test.at(1)) / GIB:.1f} GiB to train at"
        f" batch {order.recipe.batch_size} and test at 1, more than the {order.recipe.memory:g} GiB"
        " allowed: lower --batch-size, or raise --memory to what the machine has"
    )
