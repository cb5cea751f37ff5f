"""Whoever waits at a terminal sees that something goes on; a file gets the answer alone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from support.results import two_results
from support.trained_network import Trained

WORK = {
    ("audit", "--only", "xs-params"): "checking the paper's claims",
    ("audit", "--net", "{net}"): "comparing {net} with the paper",
    ("doctor", "--variant", "xs"): "looking at packages, Caffe and the machine",
    ("figure", "curves", "{log}", "--out", "{tmp}/curves.png"): "drawing",
    ("page", "audit", "--out", "{tmp}/page.html"): "checking the paper's claims",
    ("page", "network", "--net", "{net}", "--out", "{tmp}/page.html"): "counting and drawing",
    ("page", "results", "{tmp}/results", "--out", "{tmp}/page.html"): "reading results",
    ("page", "run", "{log}", "--out", "{tmp}/page.html"): "reading trainings",
    (
        "export",
        "--weights",
        "{weights}",
        "--safetensors",
        "{tmp}/x.safetensors",
    ): "reading {weights}",
    ("init", "--net", "{net}", "--from", "{weights}", "--out", "{tmp}/i.caffemodel"): (
        "making weights from {weights}"
    ),
    ("predict", "{photo}", "--weights", "{weights}", "--engine", "opencv", "--json"): "predicting",
}


@pytest.fixture
def words(trained: Trained, tmp_path: Path) -> dict[str, object]:
    two_results(tmp_path / "results")
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), trained.images[0])
    return {
        "net": trained.train_val, "log": trained.log, "weights": trained.weights, "tmp": tmp_path,
        "photo": photo,
    }  # fmt: skip


def on_a_terminal(command: list[str]) -> tuple[bytes, str, int]:
    """Run a command whose messages are on a terminal; return what it prints, shows, and its end."""
    ours, its = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "300"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=its, env=environment) as process:
        os.close(its)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        os.close(ours)
        assert process.stdout
        printed = process.stdout.read()
    return printed, shown.decode(), process.returncode


@pytest.mark.parametrize("command", WORK, ids=lambda command: " ".join(command[:2]))
def test_a_terminal_is_shown_what_goes_on_and_a_file_gets_the_answer_alone(
    command: tuple[str, ...], words: dict[str, object]
) -> None:
    line = [
        sys.executable,
        "-m",
        "netgen.commands.cli",
        *(word.format(**words) for word in command),
    ]
    printed, shown, code = on_a_terminal(line)
    what = WORK[command].format(**words)
    assert what in shown
    assert what not in printed.decode()
    for made in ("i.caffemodel", "x.safetensors"):
        Path(str(words["tmp"]), made).unlink(missing_ok=True)
    piped = subprocess.run(line, capture_output=True, check=False, timeout=300)
    if command[0] != "doctor":  # the machine changes meanwhile
        assert piped.stdout == printed
    assert what not in piped.stderr.decode()
    assert piped.returncode == code


def test_the_time_that_is_left_is_shown_of_many_images(words: dict[str, object]) -> None:
    photo, weights = str(words["photo"]), str(words["weights"])
    command = ["predict", *[photo] * 3, "--weights", weights, "--engine", "opencv", "--json"]
    _, shown, _ = on_a_terminal([sys.executable, "-m", "netgen.commands.cli", *command])
    assert "3/3" in shown
    assert "0:00:00" in shown
