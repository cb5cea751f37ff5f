"""What is in the images, and how they behave; `./run images` builds them and runs this.

Everything here happens in containers, as the images' user or as the one whom `--user` names,
without a network.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from support.containers import Image, Store, opened
from support.photographs import photograph, saved

KINDS = os.environ.get("IMAGES_BUILT", "").split()
TRAINING = [kind for kind in KINDS if kind != "cudnn"]  # those whose Caffe trains on a CPU
TASKS = "pet", "age"
COMPILERS = {
    "cc", "c++", "gcc", "g++", "cpp", "ld", "as", "make", "cmake", "ninja",
    "cc1plus", "nvcc", "cicc", "ptxas", "nvlink", "cudafe++",
}  # fmt: skip
SMALL = (
    *("--solver-mode", "cpu", "--stem", "small", "--width", "4", "--blocks", "1,1,1,3"),
    *("--batch-size", "4", "--base-lr", "0.01", "--moving-average", "0.9"),
    *("--test-interval", "4", "--snapshot", "4", "--display", "2"),
)
SHORT, ENDLESS = ("--max-iter", "8"), ("--max-iter", "100000")
OWNERS = {"the image's user": (1000, ""), "somebody else": (4321, "4321:4321")}
TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Folder:
    """A mounted folder with images and their labels, and who owns it and runs commands there."""

    image: Image
    path: Path
    user: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.image.run(*words, work=self.path, user=self.user)

    def netgen(self, *words: str) -> str:
        """Run a command of netgen's, which has to succeed; return what it said."""
        done = self.run("netgen", *words)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def prepare(self, *length: str) -> None:
        """Make a dataset of the images, and a narrow X_S for it."""
        self.netgen(
            "data", "csv", "labels.csv", "--root", "photos", "--out", "data", "--size", "32"
        )
        self.netgen("build", "--variant", "xs", "--dataset", "data/dataset.toml", *SMALL, *length)

    def snapshots(self) -> set[str]:
        return {file.name for file in self.path.rglob("*_iter_*.caffemodel")}

    def iterations(self) -> set[int]:
        """The iterations of the snapshots that there are."""
        return {int(name.removesuffix(".caffemodel").split("_")[-1]) for name in self.snapshots()}


@cache
def opened_once(kind: str) -> Image:
    return opened(Store(Path(os.environ["IMAGES"]), os.environ["IMAGES_DRIVER"]), kind)


@pytest.fixture(params=KINDS)
def image(request: pytest.FixtureRequest) -> Image:
    return opened_once(request.param)


@pytest.fixture(params=TRAINING)
def trainer(request: pytest.FixtureRequest) -> Image:
    """An image whose Caffe trains on a CPU: cuDNN's layers need a GPU."""
    return opened_once(request.param)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty folder that anybody may get to and its owner may write to."""
    folder = tmp_path / "work"
    folder.mkdir()
    for above in (folder, *folder.parents):
        if above.stat().st_uid == os.geteuid() and above.parent != above:
            above.chmod(0o755)
    return folder


def filled(image: Image, folder: Path, owner: str = "the image's user") -> Folder:
    """Put images and their labels into a folder, and give it to its owner."""
    uid, user = OWNERS[owner]
    rows = ["path,pet,age"]
    for number in range(40):
        pet, age = ("cat", "dog")[number % 2], ("old", "young", "new")[number % 3]
        (folder / "photos").mkdir(exist_ok=True)
        (folder / f"photos/{number}.jpg").write_bytes(saved(photograph(number, 48, 40)))
        rows.append(f"{number}.jpg,{pet},{age}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid)
    return Folder(image, folder, user)


@pytest.fixture
def folder(trainer: Image, work: Path) -> Folder:
    return filled(trainer, work)


# ---- what is in it ------------------------------------------------------------------------------


def test_without_a_command_the_doctor_finds_nothing_missing(image: Image, work: Path) -> None:
    os.chown(work, 1000, 1000)
    done = image.run(work=work)
    assert done.returncode == 0, done.stdout
    assert "0 missing" in done.stdout
    assert "ok       import caffe" in done.stdout


def test_caffe_starts(image: Image, work: Path) -> None:
    done = image.run("caffe", "--version", work=work)
    assert (done.returncode, done.stdout.strip()) == (0, "caffe version 1.0.0")


def test_commands_run_as_its_user_without_a_network(image: Image, work: Path) -> None:
    done = image.run("sh", "-c", "id -u; ls /sys/class/net; pwd", work=work)
    assert done.stdout.split() == ["1000", "lo", "/work"]


def test_there_is_no_compiler_in_it(image: Image) -> None:
    programs = subprocess.run(
        ["find", image.root, "-xdev", "-executable", "!", "-type", "d", "-printf", "%f\\n"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = set(programs.stdout.split())
    assert "python3" in found
    assert not found & COMPILERS
    assert not {name for name in found if re.search(r"-(gcc|g\+\+|ld|as)(-\d+)?$", name)}


def test_nothing_of_what_it_was_built_with_stays(image: Image) -> None:
    """Neither certificates nor settings of whoever built it, nor lists and caches of packages."""
    for left in ("run/secrets", "root/.cache", "opt/caffe/sources"):
        assert not (image.root / left).exists()
    assert not list((image.root / "var/lib/apt/lists").glob("*Packages*"))
    assert not list((image.root / "var/cache/apt/archives").glob("*.deb"))


# ---- what it does -------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", OWNERS)
def test_a_folders_owner_trains_and_evaluates_there(owner: str, trainer: Image, work: Path) -> None:
    folder = filled(trainer, work, owner)
    folder.prepare(*SHORT)
    assert "iteration 8" in folder.netgen("train", "--variant", "xs").lower()
    evaluated = folder.netgen("eval", "--weights", "runs/xs")
    assert all(task in evaluated for task in TASKS)
    assert {path.stat().st_uid for path in work.rglob("*")} == {OWNERS[owner][0]}


def test_a_folder_that_its_user_may_not_write_to_is_told(trainer: Image, work: Path) -> None:
    folder = filled(trainer, work, "somebody else")
    done = trainer.run(
        "netgen", "data", "csv", "labels.csv", "--root", "photos", "--out", "data", work=folder.path
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert "ermission" in done.stdout


def test_caffe_trains_what_netgen_built(folder: Folder) -> None:
    folder.prepare(*SHORT)
    done = folder.run("caffe", "train", "-solver", "solvers/xs.prototxt")
    assert done.returncode == 0, done.stdout
    assert "Optimization Done." in done.stdout


# ---- signals ------------------------------------------------------------------------------------


def stop_at_a_snapshot(folder: Folder, *how: str) -> None:
    """Train until there is a new snapshot, then stop by SIGTERM."""
    before = folder.snapshots()
    with folder.image.container("netgen", "train", *how, work=folder.path) as training:
        training.start()
        training.wait_until(lambda: bool(folder.snapshots() - before))
        training.signal(signal.SIGTERM)
        assert training.wait() == TERMINATED
        assert "--resume" in training.said()


def test_sigterm_during_training_leaves_a_snapshot_to_go_on_from(folder: Folder) -> None:
    folder.prepare(*ENDLESS)
    stop_at_a_snapshot(folder, "--variant", "xs")
    stopped = max(folder.iterations())
    stop_at_a_snapshot(folder, "--variant", "xs", "--resume")
    entries = (folder.path / "runs/xs/log.jsonl").read_text().splitlines()
    [resumed] = [entry for entry in map(json.loads, entries) if entry["event"] == "resume"]
    assert resumed["iteration"] == stopped


def test_sigterm_makes_caffe_leave_a_snapshot_too(folder: Folder) -> None:
    folder.prepare(*ENDLESS)
    words = ("caffe", "train", "-solver", "solvers/xs.prototxt")
    with folder.image.container(*words, work=folder.path) as training:
        training.start()
        training.wait_until(lambda: "Iteration 2 " in training.said())
        before = folder.snapshots()
        training.signal(signal.SIGTERM)
        assert training.wait() == 0
        assert "Optimization stopped early." in training.said()
    assert folder.snapshots() > before


def test_sigterm_before_the_command_has_started_ends_the_container(
    image: Image, work: Path
) -> None:
    """The first process of a container ignores what it does not handle, and so would Python."""
    with image.container("netgen", "doctor", work=work) as container:
        container.start()
        container.wait_until(lambda: container.first_process() != 0)
        container.signal(signal.SIGTERM)
        assert container.wait(10) == TERMINATED
        assert container.said() == ""
