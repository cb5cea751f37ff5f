"""Table 2's folder in small: photographs, narrow networks, and caffemodels to start from."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace as with_changes

from netgen import paper
from netgen.network.dataset import write_dataset
from netgen.network.variants import find
from netgen.pipeline.table2 import DATASET
from support.caffe_child import in_caffe
from support.networks import BASELINES, RESIDUAL, VARIANTS, dataset, make_databases
from support.networks_in_caffe import save_random_weights
from support.photographs import photograph, saved
from support.training import Place

PAIRS = ("happy_dog", "happy_cat", "old_dog", "old_house")
SIDE, PHOTOGRAPHS = 64, 15
ON_CPU = ("--solver-mode", "cpu", "--dataset", str(DATASET))
NARROW = {
    **dict.fromkeys(BASELINES, ("--width", "12", "--base-lr", "3e-5")),
    **dict.fromkeys(RESIDUAL, ("--width", "4", "--blocks", "1,1,1,3", "--stem", "small")),
}
SHORT = "--batch-size 4 --max-iter 8 --test-interval 4 --snapshot 4 --display 2"
# Longer than any test: the rate can fall only after windows of an epoch.
LONG = "--batch-size 16 --max-iter 100000 --test-interval 100000 --snapshot 4 --display 4"
LONG_RECORDS = 3000
# Networks whose weights stand for the published ones. Inception's were published with those of its
# auxiliary classifiers, which only training has.
PUBLISHED = {
    "caffenet-noun": ("deploy", "TEST"),
    "inception-v1-noun": ("train_val", "TRAIN"),
    "vgg16-noun": ("deploy", "TEST"),
    "resnet50-noun": ("deploy", "TEST"),
    "deepsentibank": ("deploy", "TEST"),
}


def small_table_2(folder: Path) -> Place:
    """Make a folder in which `netgen table` trains all of Table 2's networks in minutes."""
    place = Place(folder)
    _photographs(folder / "source")
    _netgen(place, "data", "mtvso", "source", "--labels", "lists", "--size", str(SIDE),
            "--out", str(DATASET.parent))  # fmt: skip
    for name in VARIANTS:
        options = (*NARROW[name], *SHORT.split())
        if name == "deepsentibank":  # published weights have its width, and nothing trains it
            options = ()
        _netgen(place, "build", "--variant", name, *ON_CPU, *options)
    for name in PUBLISHED:
        _publish(folder, name)
    others = (f"pair {number}" for number in range(paper.DEEPSENTIBANK_PAIRS - len(PAIRS)))
    (folder / "weights/deepsentibank.txt").write_text("\n".join((*PAIRS, *others)))
    return place


def long_training(folder: Path, *names: str) -> Place:
    """Make a folder in which these residual networks train for longer than any test takes."""
    place = Place(folder)
    classes = {"noun": 3, "adj": 2, "anp": 4}
    data = dataset(classes, (3, SIDE, SIDE), LONG_RECORDS, str(DATASET.parent))
    make_databases(data, folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        write_dataset(with_changes(data, name="mtvso"), DATASET)
    finally:
        os.chdir(before)
    for name in dict.fromkeys(("resnet50-noun", *names)):
        _netgen(place, "build", "--variant", name, *ON_CPU, *NARROW[name], *LONG.split())
    _publish(folder, "resnet50-noun")
    return place


def _photographs(root: Path) -> None:
    for index, pair in enumerate(PAIRS):
        (root / pair).mkdir(parents=True)
        for number in range(PHOTOGRAPHS):
            (root / pair / f"{number}.jpg").write_bytes(saved(photograph(100 * index + number)))
    adjectives, nouns = zip(*(pair.split("_") for pair in PAIRS), strict=True)
    lists = root.parent / "lists"
    lists.mkdir()
    for kind, names in {"anp": PAIRS, "adj": adjectives, "noun": nouns}.items():
        (lists / f"mtvso_{kind}labels.txt").write_text("\n".join(dict.fromkeys(names)) + "\n")


def _netgen(place: Place, *words: str) -> None:
    done = place.netgen(*words)
    assert done.returncode == 0, done.stdout


def _publish(folder: Path, name: str) -> None:
    """Save random weights under the name of those that a network starts from."""
    weights = folder / "weights" / find(name, list(paper.TASKS)).row.weights
    weights.parent.mkdir(exist_ok=True)
    kind, phase = PUBLISHED[name]
    net = f"models/{name}/{kind}.prototxt"
    in_caffe(save_random_weights, net, str(weights), phase, folder=folder)
