"""The commands of docs/replicate-table-2.md, one by one, on few small photographs and no GPU."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.caffe_child import in_caffe
from support.networks_in_caffe import save_random_weights
from support.paths import ROOT
from support.photographs import photograph, saved

from netgen.evaluation.results import read_result

PAIRS = ("happy_dog", "happy_cat", "old_dog", "old_house")
SIDE, PHOTOGRAPHS, ITERATIONS = 24, 15, 8
# What makes each command of the guide small; without a GPU all else is as it stands there.
SMALL = {
    "data mtvso": f"--size {SIDE}",
    "build": "--width 4 --blocks 1,1,1,3 --stem small --solver-mode cpu --batch-size 4"
    f" --max-iter {ITERATIONS} --test-interval 4 --snapshot 4 --display 2",
    "train": "--plateau off",
}


def commands() -> list[str]:
    """The guide's commands, made small."""
    text = (ROOT / "docs/replicate-table-2.md").read_text(encoding="utf-8")
    found = re.search(r"^## The commands\n.*?```sh\n(.*?)```", text, re.M | re.S)
    assert found
    return [_small(line) for line in found[1].splitlines()]


def _small(line: str) -> str:
    for words, more in SMALL.items():
        if line.startswith(f"netgen {words} "):
            line += f" {more}"
    return line.replace(" --gpu 0", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the guide says that one needs, small."""
    root = tmp_path_factory.mktemp("replicator")
    for index, pair in enumerate(PAIRS):
        (root / "bi_concepts1553" / pair).mkdir(parents=True)
        for number in range(PHOTOGRAPHS):
            file = root / "bi_concepts1553" / pair / f"{number}.jpg"
            file.write_bytes(saved(photograph(100 * index + number)))
    adjectives, nouns = zip(*(pair.split("_") for pair in PAIRS), strict=True)
    (root / "mtvso").mkdir()
    for kind, names in {"anp": PAIRS, "adj": adjectives, "noun": nouns}.items():
        file = root / "mtvso" / f"mtvso_{kind}labels.txt"
        file.write_text("\n".join(dict.fromkeys(names)) + "\n")
    return root


def ours(words: str, folder: Path) -> str:
    """Run a command of netgen's there; it has to succeed."""
    run = subprocess.run(
        [Path(sys.executable).parent / "netgen", *shlex.split(words)[1:]],
        cwd=folder, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert run.returncode == 0, f"{words}\n{run.stdout}\n{run.stderr}"
    return run.stdout


def test_the_commands_lead_from_folders_of_images_to_the_results(folder: Path) -> None:
    told = {}
    for words in commands():
        if words.startswith("netgen init"):
            _give_a_resnet(folder)
        told[words.split()[1]] = ours(words, folder)
    result = read_result(folder / "results/xs.json")
    assert [(task.name, task.classes) for task in result.tasks] == [
        ("noun", 3), ("adj", 2), ("anp", 4),
    ]  # fmt: skip
    tested = len(PAIRS) * (PHOTOGRAPHS - PHOTOGRAPHS * 4 // 5)
    assert result.records == tested
    assert all(task.accuracy.top1.total == tested for task in result.tasks)
    assert "consistent" in told["audit"] or "not reproduced" in told["audit"]
    for picture in ("figure5.png", "confusion.png", "runs/xs/curves.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG"), picture


def _give_a_resnet(folder: Path) -> None:
    """Save the weights of a single-task network, as narrow, under the name of He's file."""
    small = SMALL["build"]
    ours(
        "netgen build --variant resnet50-noun --dataset data/mtvso/dataset.toml --out source "
        + small,
        folder,
    )
    net = folder / "source/models/resnet50-noun/deploy.prototxt"
    in_caffe(save_random_weights, str(net), str(folder / "ResNet-50-model.caffemodel"))
