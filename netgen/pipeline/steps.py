"""The commands of each part of the experiment: those that a user would type.

A part is made by netgen's own commands, each in a process of its own, and leaves files by which it
is known to be done.
"""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from netgen.pipeline.cells import Cell, ExperimentError, Places
from netgen.pipeline.miniature import KEPT, PRETRAINING_RATE, SHAPE, TESTS, Settings
from netgen.system.files import write_all
from netgen.training.run_folder import RunFolder
from netgen.training.snapshots import newest_whole

Words = tuple[str, ...]
TRUNK = "resnet50-character"
SNAPSHOTS = 3  # a run: what a kill may cost
SIZE = "32"  # pixels a side, as the letters are drawn


def data_steps(places: Places, split: str, seed: int) -> Iterator[Words]:
    """Yield what makes a seed's databases: the split's images, in an order of the seed's."""
    out = places.dataset(split, seed)
    if (out / "dataset.toml").exists():
        return
    lists = {part: out.with_name(f"{out.name}.{part}.txt") for part in ("train", "test")}
    write_all({file: _listed(places.lists(split), part) for part, file in lists.items()})
    yield (
        "data", "mtvso", _(places.data / "images"), "--labels", _(places.data / "ontology"),
        "--train", _(lists["train"]), "--test", _(lists["test"]), "--seed", str(seed),
        "--size", SIZE, "--out", _(out), "--jobs", "1", "--resume",
    )  # fmt: skip


def trunk_steps(places: Places, settings: Settings) -> Iterator[Words]:
    """Yield what trains the trunk: one task, other characters, from nothing."""
    length = settings.pretraining
    yield _build(TRUNK, places.pretraining, places.trunk, length, PRETRAINING_RATE, tests=1)
    yield _train(places.trunk, TRUNK, None)


def cell_steps(cell: Cell, places: Places, settings: Settings) -> Iterator[Words]:
    """Yield what trains and tests a cell's network, looking anew each time at what is there."""
    folder, network = places.cell(cell), cell.compared
    dataset = places.dataset(cell.split, cell.seed) / "dataset.toml"
    seed = ("--random-seed", str(cell.seed))
    yield (*_build(network.variant, dataset, folder, settings.iterations, cell.rate),
           *seed, *network.options)  # fmt: skip
    net = folder / "models" / network.variant
    initial = folder / "initial.caffemodel"
    if not initial.exists():
        source = trained(places.cell(cell.start) if cell.start else places.trunk)
        kept = ("--keep-heads",) if cell.start else ()
        yield ("init", "--net", _(net / "train_val.prototxt"), "--from", _(source),
               "--seed", str(cell.seed), "--out", _(initial), *kept)  # fmt: skip
    yield _train(folder, network.variant, initial)
    yield (
        "eval", "--variant", network.variant, "--dataset", _(dataset), "--net",
        _(net / "deploy.prototxt"), "--weights", _(folder / "run"), "--out", _(result(folder)),
    )  # fmt: skip


def result(folder: Path) -> Path:
    """Return where a cell's result is."""
    return folder / "result.json"


def trained(folder: Path) -> Path:
    """Return the last weights of a training.

    Raises
    ------
    ExperimentError
        There are none.
    """
    snapshot = newest_whole(RunFolder(folder / "run").snapshots, lambda _: None)
    if snapshot is None:
        raise ExperimentError(f"{folder / 'run'}: no snapshot in it: remove {folder}, and resume")
    return snapshot.model


def _build(
    variant: str, dataset: Path, out: Path, iterations: int, rate: float, tests: int = TESTS
) -> Words:
    test, snapshot = -(-iterations // tests), -(-iterations // SNAPSHOTS)
    return (
        "build", "--variant", variant, "--dataset", _(dataset), "--out", _(out), *SHAPE, *KEPT,
        "--base-lr", f"{rate:g}", "--max-iter", str(iterations),
        "--stepvalues", ",".join(map(str, Settings.at(iterations))),
        "--test-interval", str(test), "--snapshot", str(snapshot), "--display", "20",
    )  # fmt: skip


def _train(folder: Path, variant: str, weights: Path | None) -> Words:
    run = folder / "run"
    if RunFolder(run).record.exists():
        return ("train", "--resume", "--run", _(run))
    start = ("--weights", _(weights)) if weights else ()
    solver = folder / "solvers" / f"{variant}.prototxt"
    return ("train", "--solver", _(solver), "--run", _(run), "--plateau", "off", *start)


def _listed(records: Path, part: str) -> str:
    """Return a part of a split as a list of the authors' form: path anp noun adj."""
    with records.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == part]
    rows.sort(key=lambda row: row["name"])
    return "".join(
        f"{row['name']} {row['label:anp']} {row['label:noun']} {row['label:adj']}\n" for row in rows
    )


def _(path: Path) -> str:
    return path.as_posix()


def shown(words: Sequence[str]) -> str:
    """Return a command as one types it."""
    return shlex.join(("netgen", *words))
