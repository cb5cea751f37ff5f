"""docs/your-own-images.md, word for word with fewer iterations, in a newcomer's folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT
from support.photographs import PICTURES, photograph, saved

GUIDE = ROOT / "docs/your-own-images.md"
SUBJECTS = {  # of each picture, and where it was taken
    "astronaut.png": ("person", "indoors"),
    "chelsea.png": ("cat", "indoors"),
    "coffee.png": ("cup", "indoors"),
    "rocket.jpg": ("rocket", "outdoors"),
    "motorcycle_left.png": ("motorcycle", "indoors"),
}


def section() -> str:
    """Return the guide's section on several tasks."""
    text = GUIDE.read_text(encoding="utf-8")
    found = re.search(r"^#+ Several tasks\n(.*?)^#", text, re.M | re.S)
    assert found
    return found[1]


def commands() -> str:
    """Return its commands, with a tenth of the iterations."""
    (block,) = re.findall(r"```sh\n(.*?)```", section(), re.S)
    shorter: str = re.sub(r"(--(?:max-iter|test-interval|snapshot|display) \d+)0\b", r"\1", block)
    assert shorter != block
    return shorter


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs and ``labels.csv`` as the section shows them."""
    root = tmp_path_factory.mktemp("newcomer")
    rows = ["path,subject,place"]
    for number in range(150):
        subject, place = SUBJECTS[PICTURES[number % len(PICTURES)]]
        rows.append(f"{subject}/{number:04}.jpg,{subject},{place}")
        file = root / "photos" / subject / f"{number:04}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(saved(photograph(number, 240, 180)))
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


def in_folder(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the newcomer's folder."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, env=os.environ | {"PATH": path, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_the_commands_lead_from_photographs_to_a_network_that_learned(folder: Path) -> None:
    run = in_folder(folder, commands())
    assert run.returncode == 0, run.stderr
    assert "120 training and 30 test images of 3 x 64 x 64" in run.stdout
    assert "16 passed, 0 failed, 0 not checked" in run.stdout
    for task in ("subject", "place"):
        assert re.search(rf"loss_{task} .* fell", run.stdout), run.stdout
    assert list((folder / "mine").rglob("*.caffemodel"))
    _, _, rest = run.stdout.rpartition("\nphotos/cat/0001.jpg\n")
    predicted, _, exported = rest.partition("mine/xs.onnx: ")
    assert "outputs: prob_subject, prob_place" in exported
    assert (folder / "mine/xs.onnx").stat().st_size > 2**20
    named = zip(*SUBJECTS.values(), strict=True)
    for task, classes in zip(("subject", "place"), named, strict=True):
        (line,) = re.findall(rf"^  {task}: (.*)$", predicted, re.M)
        assert {guess.split()[0] for guess in line.split(", ")} == set(classes)
    (said,) = re.findall("^Next: (netgen predict photo.jpg .*)$", run.stdout, re.M)
    (folder / "photo.jpg").write_bytes((folder / "photos/cat/0001.jpg").read_bytes())
    again = in_folder(folder, said)
    assert again.returncode == 0, again.stderr
    assert again.stdout == f"photo.jpg\n{predicted}"


def test_the_file_shown_is_one_that_netgen_reads(folder: Path) -> None:
    """It names the columns as `labels.csv` does, and classes that are there."""
    (shown,) = re.findall(r"```\n(path,.*?)```", section(), re.S)
    header, *rows = shown.splitlines()
    assert header == (folder / "labels.csv").read_text().splitlines()[0]
    for row in rows:
        path, *classes = row.split(",")
        assert tuple(classes) in SUBJECTS.values()
        assert path.startswith(f"{classes[0]}/")
