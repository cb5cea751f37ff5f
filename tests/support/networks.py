"""What several test modules of the generator share: datasets, orders, parsed layers, databases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import lmdb
import numpy as np

from netgen import paper
from netgen.caffe.caffe_pb2 import Datum, LayerParameter
from netgen.caffe.schema import layers_in, parse_net
from netgen.network.build import BuildSpec, network_files
from netgen.network.dataset import Dataset, Images, Split, Task, split_in
from netgen.network.options import Choice
from netgen.network.residual import Backbone, Stem
from netgen.network.variants import find, variants
from netgen.paper import Recipe
from support.paths import ROOT

VARIANTS = list(variants(list(paper.TASKS)))
MULTITASK = ["x0", "x1", "xs"]
BASELINES = [name for name in VARIANTS if not find(name, list(paper.TASKS)).row.is_residual]
RESIDUAL = [name for name in VARIANTS if name not in BASELINES]
TRAINED = [name for name in VARIANTS if find(name, list(paper.TASKS)).row.is_trained]

Kind = Literal["train_val", "deploy"]
Phase = Literal["TRAIN", "TEST"]

# Deep enough for every kind of block, narrow enough for a forward pass in milliseconds.
NARROW = Backbone(width=4, blocks=(1, 1, 1, 3), stem=Stem.SMALL)
# What does not fit the paper's card is still a network that can be counted.
ANY_CARD = Recipe(memory=1e6)


def dataset(
    classes: Mapping[str, int],
    size: tuple[int, int, int] = (3, 224, 224),
    records: int = 12,
    folder: str = "data",
) -> Dataset:
    """A dataset of these tasks and this image size, its databases below `folder`."""
    return Dataset(
        name="some",
        images=Images(*size, mean=tuple(100.0 + channel for channel in range(size[0]))),
        tasks=tuple(Task(task, count) for task, count in classes.items()),
        train=split_in(f"{folder}/train", classes, records),
        test=split_in(f"{folder}/test", classes, records),
    )


def order(
    variant: str,
    data: Dataset,
    backbone: Backbone | None = NARROW,
    recipe: Recipe = ANY_CARD,
    out: Path = Path(),
    **choices: Choice,
) -> BuildSpec:
    """An order of `variant` for `data`, narrow unless said otherwise, with the choices given."""
    chosen = find(variant, [task.name for task in data.tasks])
    row = replace(chosen.row, **choices)  # type: ignore[arg-type]
    return BuildSpec(replace(chosen, row=row), data, backbone, recipe, out, "CPU", "a test")


def text(ordered: BuildSpec, kind: Kind) -> str:
    """The prototxt of one of an order's networks."""
    return network_files(ordered)[ordered.folder / f"{kind}.prototxt"]


def layers(prototxt: str, phase: Phase = "TEST") -> list[LayerParameter]:
    """The layers that Caffe builds of a network in a phase."""
    return layers_in(parse_net(prototxt), phase)


def committed(variant: str, kind: Kind) -> str:
    """The prototxt of the paper's network as it is in the repository."""
    return (ROOT / f"models/{variant}/{kind}.prototxt").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Shown:
    """The images and labels of a split, as arrays."""

    images: np.ndarray
    labels: dict[str, np.ndarray]


def make_databases(data: Dataset, folder: Path, seed: int = 0) -> dict[str, Shown]:
    """Write random images and labels where `data`, relative to `folder`, says; return them."""
    rng = np.random.default_rng(seed)
    made = {}
    for phase in ("TRAIN", "TEST"):
        split = data.split(phase)
        shape = (split.records, data.images.channels, data.images.height, data.images.width)
        images = rng.integers(0, 256, shape, dtype=np.uint8)
        labels = {task.name: rng.integers(0, task.classes, split.records) for task in data.tasks}
        write_split(folder, split, images, labels)
        made[phase] = Shown(images, labels)
    return made


def write_split(
    folder: Path, split: Split, images: np.ndarray, labels: Mapping[str, Sequence[int] | np.ndarray]
) -> None:
    """Write images, N x C x H x W, and labels where `split`, relative to `folder`, says."""
    datums = [
        Datum(channels=i.shape[0], height=i.shape[1], width=i.shape[2], data=i.tobytes())
        for i in images
    ]
    write_lmdb(folder / split.images, datums)
    for task, values in labels.items():
        datums = [Datum(channels=1, height=1, width=1, float_data=[value]) for value in values]
        write_lmdb(folder / split.labels[task], datums)


def write_lmdb(path: Path, datums: Iterable[Datum]) -> None:
    """Write a new database of these records, in their order."""
    path.mkdir(parents=True)
    with (
        lmdb.open(str(path), map_size=2**29) as environment,
        environment.begin(write=True) as transaction,
    ):
        for index, datum in enumerate(datums):
            transaction.put(b"%08d" % index, datum.SerializeToString())
