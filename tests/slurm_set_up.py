"""The Slurm of `./run slurm`: it leaves nothing running, and says what is wrong and what next.

`./run slurm` runs this with tests/slurm_queue.py.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT, TESTS
from support.slurm import SHORT, Slurm, SlurmError, running

ENDLESS = "#!/bin/sh\n#SBATCH --array=0\n#SBATCH --mem=1G\ntouch running\nsleep 1000\n"
WITH_A_JOB = """
import sys, time
from pathlib import Path
from support.slurm import running
folder = Path(sys.argv[1])
with running(folder / "slurm") as slurm:
    (folder / "endless.sh").write_text(sys.argv[2])
    slurm.sbatch(folder / "endless.sh")
    slurm.wait((folder / "running").exists)
    print("ready", flush=True)
    while True:
        time.sleep(1)
"""


def start_another(folder: Path) -> subprocess.Popen[str]:
    """Run a second Slurm in a process of its own; return when a job runs in it."""
    process = subprocess.Popen(
        [sys.executable, "-c", WITH_A_JOB, folder, ENDLESS], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": f"{TESTS}:{ROOT}"},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def left(folder: Path) -> dict[int, str]:
    return Slurm(folder / "slurm", (0, 0)).processes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_running_when_it_is_stopped(number: signal.Signals, tmp_path: Path) -> None:
    with start_another(tmp_path) as other:
        assert len(left(tmp_path)) > 4  # munged, slurmctld, slurmd, slurmstepd, the job
        other.send_signal(number)
        other.communicate(timeout=SHORT)
    assert left(tmp_path) == {}


def test_what_a_killed_run_left_is_ended_by_the_next_and_told(tmp_path: Path) -> None:
    with start_another(tmp_path) as other:
        other.kill()
    assert any("sleep 1000" in line for line in left(tmp_path).values())
    said: list[str] = []
    with running(tmp_path / "slurm", say=said.append) as slurm:
        assert slurm.node() == "idle"
        assert not any("sleep 1000" in line for line in left(tmp_path).values())
    [sentence] = said
    assert "processes that a broken run had left in" in sentence
    assert left(tmp_path) == {}


def test_a_second_run_in_the_same_folder_is_refused_and_the_first_not_disturbed(
    tmp_path: Path,
) -> None:
    with start_another(tmp_path) as other:
        before = left(tmp_path)
        with pytest.raises(SlurmError, match=r"another \./run slurm uses .*: wait until it ends"):
            running(tmp_path / "slurm").__enter__()
        assert left(tmp_path) == before
        other.terminate()


@pytest.mark.parametrize("daemon", ["slurmctld", "slurmd"])
def test_a_busy_port_ends_it_all_with_the_daemons_words_and_what_to_do(
    daemon: str, tmp_path: Path
) -> None:
    """By default ports are free ones; another program may take one before the daemon does."""
    with socket.create_server(("", 0)) as busy, socket.create_server(("", 0)) as other:
        taken, free = busy.getsockname()[1], other.getsockname()[1]
        other.close()
        ports = (taken, free) if daemon == "slurmctld" else (free, taken)
        said = rf"{daemon} ended: .*Address already in use.*{daemon}\.log\)\. Next: mend that"
        with pytest.raises(SlurmError, match=said):
            running(tmp_path / "slurm", ports).__enter__()
    assert left(tmp_path) == {}


def test_missing_programs_and_a_path_too_long_for_a_socket_are_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SlurmError, match=r"is too long a path for a socket\. Next: "):
        running(tmp_path / ("deep/" * 20)).__enter__()
    monkeypatch.setattr("support.slurm.PROGRAMS", ("slurm-of-nowhere",))
    with pytest.raises(SlurmError, match=r"not installed: slurm-of-nowhere\. Next: \./run slurm"):
        running(tmp_path / "slurm").__enter__()
    assert left(tmp_path) == {}
