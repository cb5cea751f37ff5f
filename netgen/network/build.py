"""A variant, a dataset and a recipe -> the texts of train_val, deploy and solver.

`architecture` makes the network, the templates turn it into prototxt, and `netgen.cost` reads that
prototxt to choose a test batch that fits the GPU's memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from netgen import paper
from netgen.caffe.schema import parse_net
from netgen.cost.complexity import count
from netgen.network.architecture import network
from netgen.network.chain import Chain
from netgen.network.dataset import MTVSO, Dataset
from netgen.network.description import FILE as DESCRIPTION
from netgen.network.description import describe, text_of
from netgen.network.inception import Inception
from netgen.network.options import Conv1, Conv1Bias, Pool1, Stride
from netgen.network.render import render
from netgen.network.residual import RESNET50, Backbone, ResidualNetwork
from netgen.network.training_commands import TrainingCommands
from netgen.network.variants import UnsuitedError, Variant, find
from netgen.paper import Recipe
from netgen.system.text import gib

SolverMode = Literal["CPU", "GPU"]
NetKind = Literal["train_val", "deploy"]

# The template of the layers that train_val and deploy share.
TEMPLATES = {ResidualNetwork: "residual", Chain: "chain", Inception: "inception"}
# Caffe writes snapshots here but does not make the folder: it has to exist, ignored by git.
SNAPSHOTS_IGNORED = "# Caffe's snapshots: made by training, not kept in git.\n*\n!.gitignore\n"


class TooLargeError(ValueError):
    """A network that does not fit into memory; the message says what to change."""


@dataclass(frozen=True)
class Schedule:
    """When Caffe tests, snapshots and stops, in iterations."""

    test_interval: int
    snapshot: int
    max_iter: int


@dataclass(frozen=True)
class BuildSpec:
    """What to build: a network, for a dataset, trained by a recipe, written below `out`.

    `backbone` is None for the network's own width and depth; `command` is the command line that
    the files' headers name; `dataset_file` is the dataset's, None for the paper's.
    """

    variant: Variant
    dataset: Dataset = MTVSO
    backbone: Backbone | None = None
    recipe: Recipe = field(default_factory=Recipe)
    out: Path = Path()
    solver_mode: SolverMode = "GPU"
    command: str = ""
    dataset_file: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder of the network's files."""
        return self.out / "models" / self.variant.name

    @property
    def train_val(self) -> Path:
        """The file of the network that is trained."""
        return self.folder / "train_val.prototxt"

    @property
    def solver(self) -> Path:
        """The file of the network's solver."""
        return self.out / "solvers" / f"{self.variant.name}.prototxt"

    @property
    def epoch(self) -> int:
        """The iterations in which every training image is read."""
        return math.ceil(self.dataset.train.records / self.recipe.batch_size)

    @property
    def schedule(self) -> Schedule:
        """The recipe's schedule, in the place of None what follows from the dataset."""
        return Schedule(
            test_interval=self.recipe.test_interval or self.epoch,
            snapshot=self.recipe.snapshot or self.epoch,
            max_iter=self.recipe.max_iter or paper.MAX_EPOCHS * self.epoch,
        )

    @property
    def training(self) -> TrainingCommands:
        """The commands that train the network."""
        return TrainingCommands(
            self.variant.name,
            self.out,
            published=self.variant.row.weights if _takes_published(self) else None,
            gpu=0 if self.solver_mode == "GPU" else None,
            scheduled=bool(self.recipe.stepvalues),
        )


def network_files(spec: BuildSpec) -> dict[Path, str]:
    """Return the files of a network and their texts.

    They are train_val, deploy and its description, solver, and what keeps the folder of snapshots.
    A network that is not trained has only deploy and its description.

    Raises
    ------
    UnsuitedError
        The dataset, the backbone or the recipe is not for this network.
    ValueError
        The network cannot be built, or does not fit the memory.
    """
    _check_recipe(spec)
    context = _template_context(spec)
    described = describe(spec.variant, spec.dataset, spec.dataset_file)
    deploy = {
        spec.folder / "deploy.prototxt": render("deploy.prototxt", **context),
        spec.folder / DESCRIPTION: text_of(described),
    }
    if not spec.variant.row.is_trained:
        return deploy
    test_batch, memory = _test_batch(spec, context)
    return {
        spec.train_val: render("train_val.prototxt", **context, test_batch=test_batch),
        **deploy,
        spec.solver: render(
            "solver.prototxt",
            **context,
            net_file=spec.train_val.as_posix(),
            snapshot_prefix=(spec.folder / "snapshots" / spec.variant.name).as_posix(),
            training=spec.training,
            test_batch=test_batch,
            test_iter=spec.dataset.test.records // test_batch,
            memory=memory,
            epoch=spec.epoch,
            schedule=spec.schedule,
            solver_mode=spec.solver_mode,
        ),
        spec.folder / "snapshots" / ".gitignore": SNAPSHOTS_IGNORED,
    }


def paper_prototxt(variant: str, kind: NetKind | None = None) -> str:
    """Return the prototxt of a variant for the paper's dataset, as it is committed.

    `kind` is as in `prototxt`.

    Raises
    ------
    ValueError
        There is no such variant.
    """
    found = find(variant, list(paper.TASKS))
    return prototxt(BuildSpec(found, command=f"netgen build --variant {variant}"), kind)


def prototxt(spec: BuildSpec, kind: NetKind | None = None, test_batch: int | None = None) -> str:
    """Return the prototxt of a network, whatever memory it takes.

    Parameters
    ----------
    spec
        What to build.
    kind
        None is train_val, or deploy of a network that is not trained.
    test_batch
        None is the largest that fits the memory; 1 if none does.

    Raises
    ------
    UnsuitedError, ValueError
        As `network_files`, except for the memory.
    """
    _check_recipe(spec)
    context = _template_context(spec)
    if kind == "deploy" or not spec.variant.row.is_trained:
        return render("deploy.prototxt", **context)
    if test_batch is None:
        try:
            test_batch, _ = _test_batch(spec, context)
        except TooLargeError:
            test_batch = 1
    return render("train_val.prototxt", **context, test_batch=test_batch)


def _takes_published(spec: BuildSpec) -> bool:
    """Return whether published weights fit the network: its width, depth, images and readings."""
    row, images = spec.variant.row, spec.dataset.images
    if not row.is_residual:  # whose fully connected layers fit one size of image
        theirs = MTVSO.images
        sizes = {(each.channels, each.height, each.width) for each in (images, theirs)}
        return spec.backbone is None and len(sizes) == 1
    chosen = (row.conv1, row.conv1_bias, row.stride, row.pool1)
    hes = chosen == (Conv1.WIDTH, Conv1Bias.YES, Stride.IN_1X1, Pool1.OVERHANGING)
    return hes and images.channels == 3 and spec.backbone in (None, RESNET50)


def _check_recipe(spec: BuildSpec) -> None:
    """Refuse options of batch normalisation for a network without it."""
    recipe, ours = spec.recipe, Recipe()
    given = (recipe.frozen_statistics, recipe.moving_average)
    if not spec.variant.row.is_residual and given != (ours.frozen_statistics, ours.moving_average):
        raise UnsuitedError(
            f"{spec.variant.name} has no batch normalisation: --frozen-statistics and"
            " --moving-average are for ResNets"
        )


def _template_context(spec: BuildSpec) -> dict[str, object]:
    """Return what every template of a network's files gets.

    `layers` is the prototxt from "data" to the classifiers, which train_val and deploy share.
    """
    net = network(spec.variant, spec.dataset, spec.backbone)
    layers = render(TEMPLATES[type(net)], net=net, recipe=spec.recipe)
    return {
        "net": net,
        "layers": layers.removesuffix("\n"),
        "dataset": spec.dataset,
        "recipe": spec.recipe,
        "command": spec.command,
    }


def _test_batch(spec: BuildSpec, context: dict[str, object]) -> tuple[int, float]:
    """Return the test batch and the GiB that Caffe needs to train with it.

    The batch divides the test set, so that a test covers every image exactly once; it is the
    largest that is no larger than the training batch and fits the memory beside the training net.
    """
    net = parse_net(render("train_val.prototxt", **context, test_batch=1))
    images = spec.dataset.images
    hint = {"data": (images.channels, images.height, images.width)}
    hint |= {f"label_{task}": (1, 1, 1) for task in spec.variant.tasks}
    train = count(net, "TRAIN", inputs=hint).memory
    test = count(net, "TEST", inputs=hint).memory.added_to(train)
    records = spec.dataset.test.records
    for batch in range(min(spec.recipe.batch_size, records), 0, -1):
        needed = gib(train.total + test.at(batch))
        if records % batch == 0 and needed <= spec.recipe.memory:
            return batch, needed
    raise TooLargeError(
        f"{spec.variant.name} needs about {gib(train.total + test.at(1)):.1f} GiB to train at"
        f" batch {spec.recipe.batch_size} and test at 1, more than the {spec.recipe.memory:g} GiB"
        " allowed: lower --batch-size, or raise --memory to what the machine has"
    )
