"""The rooms: who imports whom, what each room offers, how many modules there are, their names."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.paths import ROOT

ROOMS = sorted(
    file.parent for file in [*ROOT.glob("netgen/*/__init__.py"), ROOT / "data_prep/__init__.py"]
)
# Packages inside a room: the room offers each as one name.
PACKAGES_IN_ROOMS = (
    "audit/comparison", "audit/inspection", "audit/measurements", "figures/page", "paper/claims",
    "cost/layers", "pipeline/reporting", "pipeline/running", "pipeline/study", "weights/incoming",
    "weights/outgoing",
)  # fmt: skip
MOST_MODULES, MOST_ENTRIES = 328, 16
# Modules of different rooms that share a name because they do the same thing.
SAME_WORK = {
    "build": "the command `netgen build`, and what it calls",
}


def modules() -> list[Path]:
    """The modules of netgen and data_prep, generated ones left out."""
    found = [file for top in ("netgen", "data_prep") for file in ROOT.glob(f"{top}/**/*.py")]
    return sorted(file for file in found if file.name != "caffe_pb2.py")


def room_of(file: Path) -> Path | None:
    """The room that a file lies in; None for what lies in no room."""
    return next((room for room in ROOMS if room in file.parents), None)


# ---- contracts ----------------------------------------------------------------------------------


def lint_imports(folder: Path) -> tuple[int, str]:
    """Check the contracts of the house in `folder`; return the exit status and what was printed."""
    run = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.returncode, run.stdout + run.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the house to break."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for top in ("netgen", "data_prep"):
        shutil.copytree(
            ROOT / top, tmp_path / top, ignore=shutil.ignore_patterns("__pycache__", "*.proto")
        )
    return tmp_path


def test_every_contract_is_kept() -> None:
    status, printed = lint_imports(ROOT)
    assert status == 0, printed


@pytest.mark.parametrize(
    ("room", "line", "contract"),
    [
        ("netgen/caffe", "import netgen.commands.cli", "A room imports only rooms below it"),
        ("netgen/caffe", "import netgen.paper.implied", "A room imports only rooms below it"),
        ("netgen/shed", "", "A room imports only rooms below it"),
        (
            "netgen/pipeline/study",
            "from netgen.pipeline.running import runner",
            "A study is planned, then run or reported",
        ),
        (
            "netgen/weights",
            "from netgen.audit import verdicts",
            "What makes networks does not import the auditor that judges them",
        ),
        (
            "netgen/network",
            "from data_prep.images import decode",
            "Only commands, doctor and pipeline import data_prep",
        ),
        (
            "data_prep",
            "from netgen.network.build import network_files",
            "data_prep imports only the paper, Caffe's files and dataset.toml",
        ),
        (
            "data_prep",
            "import netgen.training.driver",
            "data_prep imports only the paper, Caffe's files and dataset.toml",
        ),
    ],
)
def test_a_broken_contract_is_found_and_named(
    copy: Path, room: str, line: str, contract: str
) -> None:
    (copy / room).mkdir(exist_ok=True)
    with (copy / room / "__init__.py").open("a") as file:
        file.write(f"\n{line}\n")
    status, printed = lint_imports(copy)
    assert status != 0
    assert f"{contract} BROKEN" in " ".join(printed.split())


# ---- public and private -------------------------------------------------------------------------


def offered(room: Path) -> set[str] | None:
    """What a room's ``__all__`` names; None where it has none."""
    for node in ast.parse((room / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return None


@dataclass(frozen=True)
class Use:
    """A dotted name that a file imports."""

    file: Path
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.name}"


def imports(file: Path) -> Iterator[Use]:
    """Yield what a file imports, at its top and inside its functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Use(file, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield Use(file, node.lineno, f"{node.module}.{alias.name}")


def uses_of(room: Path) -> list[Use]:
    """What lies outside a room and imports from it."""
    dotted = ".".join(room.relative_to(ROOT).parts) + "."
    # Benchmarks time the parts of a room one by one, so they look inside.
    outside = [*modules(), *ROOT.glob("examples/**/*.py")]
    return [
        use
        for file in outside
        if room not in file.parents
        for use in imports(file)
        if use.name.startswith(dotted)
    ]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_says_what_it_knows_and_what_it_offers(room: Path) -> None:
    tree = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
    names = offered(room)
    assert ast.get_docstring(tree)
    assert names is not None, f"{room.name}/__init__.py has no __all__"
    assert not [name for name in names if name.startswith("_")]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_what_a_room_offers_exists(room: Path) -> None:
    tree = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
    bound = {
        (alias.asname or alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    } | {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    files = {path.stem for path in room.iterdir() if path.suffix == ".py" or path.is_dir()}
    # Generated when netgen is installed.
    assert (offered(room) or set()) <= bound | files | {"caffe_pb2"}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_is_used_only_through_what_it_offers(room: Path) -> None:
    names = offered(room) or set()
    depth = len(room.relative_to(ROOT).parts)
    private = [
        str(use)
        for use in uses_of(room)
        if use.name.split(".")[depth] not in names
        or any(part.startswith("_") for part in use.name.split("."))
    ]
    assert not private, "\n".join(private)


def test_packages_inside_rooms_are_those_listed() -> None:
    inside = {
        file.parent.relative_to(ROOT / "netgen").as_posix()
        for file in ROOT.glob("netgen/*/*/__init__.py")
    }
    assert inside == set(PACKAGES_IN_ROOMS)


# ---- sizes and names ----------------------------------------------------------------------------


def test_the_house_is_small_enough_to_walk_through() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "netgen"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert len({file.split("/")[1] for file in tracked}) <= MOST_ENTRIES
    assert len(modules()) <= MOST_MODULES


def test_modules_of_different_rooms_have_different_names() -> None:
    rooms = defaultdict(set)
    for file in modules():
        if not file.name.startswith("__"):
            rooms[file.stem].add(room_of(file))
    shared = {name for name, found in rooms.items() if len(found) > 1}
    assert shared == set(SAME_WORK)
