"""What the tests of `netgen data` share: the command, photographs, and a look into databases."""

from __future__ import annotations

import csv
import functools
import gzip
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import click.testing
import lmdb
import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.fashion_mnist import PACKAGE_FOLDER
from netgen.caffe.caffe_pb2 import Datum
from netgen.commands.cli import main
from support.photographs import photograph, saved

PROGRAM = (sys.executable, "-m", "netgen.commands.cli", "data")
PREFIXES = {"train": "train", "test": "t10k"}


def netgen(*arguments: object, **environment: str) -> click.testing.Result:
    """Run `netgen data` in this process."""
    runner = click.testing.CliRunner(env={"COLUMNS": "100", **environment})
    return runner.invoke(main, ["data", *map(str, arguments)])


def succeed(*arguments: object, **environment: str) -> str:
    """Run it, expecting success; return what it printed."""
    result = netgen(*arguments, **environment)
    assert result.exit_code == 0, result.output
    return result.output


def fail(*arguments: object) -> str:
    """Run it, expecting one message and exit code 1."""
    result = netgen(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception  # no traceback
    message: str = result.output[result.output.index("Error: ") :].rstrip("\n")
    assert "\n" not in message
    return message


def photographs(root: Path, classes: Mapping[str, int], width: int = 120, height: int = 90) -> Path:
    """Make a folder a class with so many different photographs each; return `root`."""
    number = 0
    for name, count in classes.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (root / name / f"{i}.jpg").write_bytes(saved(photograph(number, width, height)))
            number += 1
    return root


def read(database: Path | str) -> dict[bytes, Datum]:
    """Read a whole LMDB, in its order."""
    with (
        lmdb.open(str(database), readonly=True, lock=False) as environment,
        environment.begin() as transaction,
    ):
        return {bytes(k): Datum.FromString(bytes(v)) for k, v in transaction.cursor()}


def pixels(folder: Path, split: str) -> NDArray[np.uint8]:
    """Return all images of a split, N x C x H x W."""
    datums = list(read(folder / split / "images.lmdb").values())
    data = np.frombuffer(b"".join(datum.data for datum in datums), np.uint8)
    first = datums[0]
    return data.reshape(len(datums), first.channels, first.height, first.width)


def labels(folder: Path, split: str, task: str) -> list[int]:
    """Return all labels of a split in a task."""
    datums = read(folder / split / f"label_{task}.lmdb").values()
    return [int(value) for datum in datums for value in datum.float_data]


def table(file: Path) -> list[dict[str, str]]:
    """Read a CSV file, without the code under test."""
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        return list(csv.DictReader(lines))


def records(folder: Path, split: str) -> list[dict[str, str]]:
    """Return the rows of a split in ``records.csv``."""
    return [row for row in table(folder / "records.csv") if row["split"] == split]


def fingerprints(folder: Path) -> dict[str, str]:
    """Return every file below `folder`, and what is in it."""
    return {
        file.relative_to(folder).as_posix(): sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


@functools.cache
def published(split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read the images and labels of Fashion-MNIST, without the code under test."""

    def values(kind: str, offset: int) -> NDArray[np.uint8]:
        content = gzip.decompress((PACKAGE_FOLDER / f"{PREFIXES[split]}-{kind}.gz").read_bytes())
        return np.frombuffer(content, np.uint8, offset=offset)

    return values("images-idx3-ubyte", 16).reshape(-1, 28, 28), values("labels-idx1-ubyte", 8)


def first_published(folder: Path, train: int = 300, test: int = 100) -> Path:
    """Make a folder with the first published images of Fashion-MNIST, not gzipped."""
    folder.mkdir()
    for split, count in (("train", train), ("test", test)):
        images, items = published(split)
        size = count.to_bytes(4, "big")
        header = b"\0\0\x08\x03" + size + b"\0\0\0\x1c" * 2
        prefix = folder / PREFIXES[split]
        Path(f"{prefix}-images-idx3-ubyte").write_bytes(header + images[:count].tobytes())
        Path(f"{prefix}-labels-idx1-ubyte").write_bytes(
            b"\0\0\x08\x01" + size + items[:count].tobytes()
        )
    return folder


def in_own_mounts(script: str, tmp_path: Path, *arguments: object) -> str:
    """Run a shell script that may mount disks, which nobody else sees; return its output."""
    unshare = ["unshare", "--mount", "bash", "-euc"]
    (tmp_path / "disk").mkdir()
    trial = [*unshare, f"mount -t tmpfs none '{tmp_path}/disk'"]
    if subprocess.run(trial, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")
    command = [*unshare, script, "bash", *map(str, arguments)]
    return subprocess.run(
        command, cwd=tmp_path, text=True, check=True, timeout=120, stdout=-1, stderr=-2
    ).stdout


def walk(
    folder: Path, split: str, tasks: list[str], batch: int, batches: int
) -> dict[str, NDArray[np.float32]]:
    """Read batches with Caffe's own Data layers; to be called in a child process."""
    import caffe

    tops = {"data": "images"} | {task: f"label_{task}" for task in tasks}
    net = "".join(
        f'layer {{ name: "{top}" type: "Data" top: "{top}" data_param {{ backend: LMDB'
        f' source: "{folder}/{split}/{database}.lmdb" batch_size: {batch} }} }}\n'
        for top, database in tops.items()
    )
    Path("walk.prototxt").write_text(net)
    made = caffe.Net("walk.prototxt", caffe.TEST)
    found: dict[str, list[NDArray[np.float32]]] = {top: [] for top in tops}
    for _ in range(batches):
        made.forward()
        for top, blobs in found.items():
            blobs.append(made.blobs[top].data.copy())
    return {top: np.concatenate(blobs) for top, blobs in found.items()}
