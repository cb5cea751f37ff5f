"""Running `netgen build` in tests, and looking at what it wrote."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from netgen.commands.cli import main
from netgen.network.dataset import write_dataset
from support.networks import TRAINED, dataset, make_databases
from support.paths import ROOT

NARROW = ("--width", "4", "--blocks", "1,1,1,2")
FILES = [
    "models/{}/deploy.json",
    "models/{}/deploy.prototxt",
    "models/{}/snapshots/.gitignore",
    "models/{}/train_val.prototxt",
    "solvers/{}.prototxt",
]


def files_of(variant: str) -> list[str]:
    """The files that a variant gives; of one that is not trained, deploy alone."""
    kept = FILES if variant in TRAINED else FILES[:2]
    return [name.format(variant) for name in kept]


def netgen(*arguments: object) -> Result:
    """Run netgen in this process."""
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, [str(word) for word in arguments])


def succeed(*arguments: object) -> Result:
    result = netgen(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(code: int, *arguments: object) -> str:
    """Run it, expecting a message and no traceback; return the message."""
    result = netgen(*arguments)
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    message: str = result.stderr[result.stderr.index("Error: ") :].rstrip("\n")
    assert "\n" not in message
    return message


def program(
    *prefix: str | Path, arguments: tuple[object, ...], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run netgen as a process of its own, behind a `prefix` that restricts it."""
    return subprocess.run(
        [*prefix, sys.executable, "-m", "netgen.commands.cli", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: files with their content, and folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def written(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in tree(folder).items() if content is not None}


ODD = "d 'q\" \\ é"


def make_dataset(folder: Path, **tasks: int) -> None:
    """Make a dataset's databases and its dataset.toml in a folder."""
    data = dataset(tasks or {"item": 7, "season": 3}, (1, 16, 16), folder=".")
    make_databases(data, folder)
    write_dataset(dataset(tasks or {"item": 7, "season": 3}, (1, 16, 16), folder=str(folder)),
                  folder / "dataset.toml")  # fmt: skip
