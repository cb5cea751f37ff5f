"""The trunk, databases and cells of an experiment: their folders, and the commands that make them.

Each command is one that a user could type. It leaves files that show whether it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.listings import read_list
from netgen.pipeline.launch import Words
from netgen.pipeline.miniature import (
    KEPT,
    PRETRAINING_RATE,
    SHAPE,
    TESTS,
    Cell,
    ExperimentError,
    ExperimentSettings,
    drops,
)
from netgen.system.files import write_all
from netgen.training.journal import read_journal
from netgen.training.run_folder import RunFolder
from netgen.training.snapshots import newest_whole

TRUNK_NET = "resnet50-character"
SNAPSHOTS = 3  # per training: a killed one loses at most a third
SIZE = "32"  # width and height of the letters' images, in pixels


@dataclass(frozen=True)
class ExperimentFolders:
    """The folders: `data`, made by examples/typefaces, and `work`, the experiment's own."""

    data: Path
    work: Path

    def records(self, split: str) -> Path:
        """Return the list of a split's images."""
        return self.data / split / "records.csv"

    @property
    def pretraining(self) -> Path:
        """The dataset that the trunk is trained on."""
        return self.data / "pretraining" / "dataset.toml"

    @property
    def trunk(self) -> Path:
        """The folder of the pretrained trunk."""
        return self.work / "trunk"

    def dataset(self, split: str, seed: int) -> Path:
        """Return the folder of a seed's databases: the split's images in the seed's order."""
        return self.work / "data" / f"{split}-{seed}"

    def cell(self, cell: Cell) -> Path:
        """Return a cell's folder."""
        return self.work / "cells" / cell.name

    @property
    def settings(self) -> Path:
        """The file with the settings that the experiment was started with."""
        return self.work / "settings.json"


def data_commands(folders: ExperimentFolders, split: str, seed: int) -> Iterator[Words]:
    """Yield the command that makes a seed's databases, if they are not there yet."""
    out = folders.dataset(split, seed)
    if (out / "dataset.toml").exists():
        return
    lists = {part: out.with_name(f"{out.name}.{part}.txt") for part in ("train", "test")}
    write_all({file: _authors_list(folders.records(split), part) for part, file in lists.items()})
    yield (
        "data", "mtvso", str(folders.data / "images"), "--labels", str(folders.data / "ontology"),
        "--train", str(lists["train"]), "--test", str(lists["test"]), "--seed", str(seed),
        "--size", SIZE, "--out", str(out), "--jobs", "1", "--resume",
    )  # fmt: skip


def trunk_commands(folders: ExperimentFolders, settings: ExperimentSettings) -> Iterator[Words]:
    """Yield the commands that train the trunk: one task, other characters, from scratch."""
    length = settings.pretraining
    yield _build(TRUNK_NET, folders.pretraining, folders.trunk, length, PRETRAINING_RATE, tests=1)
    yield _train(folders.trunk, TRUNK_NET, None)


def cell_commands(
    cell: Cell, folders: ExperimentFolders, settings: ExperimentSettings
) -> Iterator[Words]:
    """Yield the commands that train and test a cell's network.

    Each is decided when it is needed, by the files that the ones before it have left.
    """
    folder, network = folders.cell(cell), cell.compared
    dataset = folders.dataset(cell.split, cell.seed) / "dataset.toml"
    seed = ("--random-seed", str(cell.seed))
    yield (*_build(network.variant, dataset, folder, settings.iterations, cell.rate),
           *seed, *network.options)  # fmt: skip
    net = folder / "models" / network.variant
    initial = folder / "initial.caffemodel"
    if not initial.exists():
        source = trained_weights(folders.cell(cell.start) if cell.start else folders.trunk)
        heads = ("--keep-heads",) if cell.start else ()
        yield ("init", "--net", str(net / "train_val.prototxt"), "--from", str(source),
               "--seed", str(cell.seed), "--out", str(initial), *heads)  # fmt: skip
    yield _train(folder, network.variant, initial)
    yield (
        "eval", "--variant", network.variant, "--dataset", str(dataset), "--net",
        str(net / "deploy.prototxt"), "--weights", str(folder / "run"),
        "--out", str(result_file(folder)),
    )  # fmt: skip


def result_file(folder: Path) -> Path:
    """Return the file in a cell's folder that `netgen eval` writes."""
    return folder / "result.json"


def trained_weights(folder: Path) -> Path:
    """Return the last snapshot of the training in a part's folder.

    Raises
    ------
    ExperimentError
        There is none.
    """
    snapshot = newest_whole(RunFolder(folder / "run").snapshots, lambda _: None)
    if snapshot is None:
        raise ExperimentError(f"{folder / 'run'}: no snapshot in it: remove {folder}, and resume")
    return snapshot.model


def iterations_done(folder: Path) -> int:
    """Return how far the training in a part's folder is."""
    entries = read_journal(RunFolder(folder / "run").journal)
    return int(entries[-1]["iteration"]) if entries else 0


def _build(
    variant: str, dataset: Path, out: Path, iterations: int, rate: float, tests: int = TESTS
) -> Words:
    test, snapshot = -(-iterations // tests), -(-iterations // SNAPSHOTS)
    return (
        "build", "--variant", variant, "--dataset", str(dataset), "--out", str(out), *SHAPE, *KEPT,
        "--base-lr", f"{rate:g}", "--max-iter", str(iterations),
        "--stepvalues", ",".join(map(str, drops(iterations))),
        "--test-interval", str(test), "--snapshot", str(snapshot), "--display", "20",
    )  # fmt: skip


def _train(folder: Path, variant: str, weights: Path | None) -> Words:
    run = folder / "run"
    if RunFolder(run).record.exists():
        return ("train", "--resume", "--run", str(run))
    start = ("--weights", str(weights)) if weights else ()
    solver = folder / "solvers" / f"{variant}.prototxt"
    return ("train", "--solver", str(solver), "--run", str(run), "--plateau", "off", *start)


def _authors_list(records: Path, part: str) -> str:
    """Return a part of a split in the form of the authors' lists: path anp noun adj."""
    rows = [row for row in read_list(records) if row["split"] == part]
    rows.sort(key=lambda row: row["name"])
    return "".join(
        f"{row['name']} {row['label:anp']} {row['label:noun']} {row['label:adj']}\n" for row in rows
    )
