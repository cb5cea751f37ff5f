"""What netgen writes: a table of the commands that do, and how each goes on when it was stopped."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

# At how many moments each command is stopped; which moments these are depends on nothing else.
MOMENTS = int(os.environ.get("NETGEN_FAULTS", "1"))
NET, MODEL = "models/xs/train_val.prototxt", "models/xs/snapshots/xs_iter_60.caffemodel"
DEPLOYED = ("--weights", MODEL, "--net", "models/xs/deploy.prototxt")
# A training that is stopped keeps a snapshot of where it was.
STOPPED_AT = "*/short_iter_[!6].*"
SOLVER = "short.prototxt"  # of `write_short_solver`
# Journals and manifests tell times, too, and locks tell processes.
TIMES = ("*/log.jsonl", "*/caffe.log", "*/run.json", "*_iter_*.json", "*lock", "*/curves.png")


@dataclass(frozen=True)
class Writer:
    """A command that writes.

    Attributes
    ----------
    name
        What it is called here.
    words
        The command; all that it writes is below ``out``.
    rerun, resume
        How it is given again after it was stopped: from the beginning, from where it was; nothing
        where it cannot be.
    reads
        One of the files that it reads.
    """

    name: str
    words: tuple[str, ...]
    rerun: tuple[str, ...]
    resume: tuple[str, ...] = ()
    reads: str = ""

    @property
    def again(self) -> dict[str, tuple[str, ...]]:
        """The ways of giving it again, by name."""
        ways = {"rerun": self.rerun, "resume": self.resume}
        return {name: words for name, words in ways.items() if words}


def _simple(name: str, reads: str, *words: str) -> Writer:
    """A command that writes its files at the end, together, and is given again as it was."""
    return Writer(name, words, words, reads=reads)


def _data(name: str, reads: str, *words: str) -> Writer:
    made = (*words, "--out", "out/made", "--size", "32")
    return Writer(name, made, (*made, "--force"), (*made, "--resume"), reads)


NEVER_BEGUN = "no run to resume"  # a training that was stopped before there was one is begun anew
TRAIN = ("train", "--solver", SOLVER, "--run", "out/run")
WRITERS = (
    _simple("build", "data/dataset.toml",
            "build", "--variant", "xs", "--dataset", "data/dataset.toml", "--out", "out"),
    _simple("build --all", "data/dataset.toml", "build", "--all", "--out", "out"),
    _simple("init", MODEL,
            "init", "--net", NET, "--from", MODEL, "--force", "--out", "out/initial.caffemodel"),
    _simple("export", MODEL, "export", *DEPLOYED, "--onnx", "out/xs.onnx"),
    _simple("eval", MODEL, "eval", "--variant", "xs", *DEPLOYED, "--engine", "opencv",
            "--dataset", "data/dataset.toml", "--out", "out/result.json"),
    _simple("predict", "photo.png", "predict", "photo.png", "--weights", "models/xs",
            "--engine", "opencv", "--out", "out/photo.png"),
    _simple("figure", "xs.log", "figure", "curves", "xs.log", "--out", "out/curves.png"),
    _simple("page network", "models/xs/deploy.prototxt",
            "page", "network", "--net", "models/xs/deploy.prototxt", "--out", "out/network.html"),
    _simple("page run", "xs.log", "page", "run", "xs.log", "--out", "out/run.html"),
    _simple("page results", "results/xs.json",
            "page", "results", "results", "--weights", MODEL, "--out", "out/results.html"),
    _simple("page study", "study/results.json",
            "page", "study", "study", "--out", "out/study.html"),
    _data("data folder", "images/a/0.jpeg", "data", "folder", "images"),
    _data("data csv", "listed/0.png", "data", "csv", "list.csv"),
    Writer("train", TRAIN, (), ("train", "--resume", "--run", "out/run"),
           "data/train/images.lmdb/data.mdb"),
)  # fmt: skip


def write_short_solver(folder: Path) -> None:
    """Write a solver of six iterations, with two snapshots and a test, for the trained network."""
    text = (folder / "solvers/xs.prototxt").read_text()
    kept = [
        line for line in text.splitlines()
        if line.split(":")[0] not in {"max_iter", "snapshot", "test_interval", "test_iter"}
    ]  # fmt: skip
    short = ["max_iter: 6", "snapshot: 3", "test_interval: 3", "test_iter: 2"]
    (folder / SOLVER).write_text("\n".join([*kept, *short]) + "\n")


def fresh(inputs: Path) -> Path:
    """Return a copy of the inputs; always at the same place, as files may tell where they are."""
    work = inputs.with_name("work")
    shutil.rmtree(work, ignore_errors=True)
    return Path(shutil.copytree(inputs, work))


def tree(folder: Path) -> dict[str, str]:
    """Return every file below a folder with its SHA-256, empty for those that tell times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not fnmatch(name, STOPPED_AT):
            timed = any(fnmatch(name, pattern) for pattern in TIMES)
            found[name] = "" if timed else hashlib.sha256(path.read_bytes()).hexdigest()
    return found
