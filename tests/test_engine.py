"""`netgen engine`: the real Caffe of this environment, none at all, and broken ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from netgen.cli import main

CUDA_WITHOUT_A_GPU = """\
#!/bin/sh
if [ "$1" = --version ]; then echo "caffe version 1.0.0"; exit 0; fi
echo "F1122 10:00:00.1 7 common.cpp:152] Check failed: error == cudaSuccess (100 vs. 0)  no \
CUDA-capable device is detected" >&2
exit 134
"""


def engine(*words: str) -> Result:
    return CliRunner().invoke(main, ["engine", *words])


def only_caffe(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str | None) -> None:
    """Make `script` the only caffe there is, or leave none."""
    if script is not None:
        (folder / "caffe").write_text(script)
        (folder / "caffe").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python3"))
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_caffe_of_this_environment_is_found_and_its_python_works() -> None:
    told = json.loads(engine("--json").output)
    assert Path(told["program"]).parent == Path(sys.executable).parent
    assert told["pycaffe"]
    assert not told["cuda"]


def test_a_caffe_for_the_cpu_asked_for_a_gpu_says_so_and_what_to_do() -> None:
    told = engine("--gpu")
    assert told.exit_code == 1
    assert "built for the CPU only" in told.output
    assert "--solver-mode cpu" in told.output


def test_no_caffe_names_the_command_that_builds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only_caffe(monkeypatch, tmp_path, None)
    told = engine()
    assert told.exit_code == 1
    assert "./run setup" in told.output


def test_a_caffe_with_cuda_but_no_gpu_says_what_cuda_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only_caffe(monkeypatch, tmp_path, CUDA_WITHOUT_A_GPU)
    assert json.loads(engine("--json").output)["cuda"]
    told = engine("--gpu")
    assert told.exit_code == 1
    assert "no CUDA-capable device" in told.output
    assert "nvidia-smi" in told.output


def test_a_caffe_that_does_not_start_gives_one_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only_caffe(monkeypatch, tmp_path, "#!/bin/sh\necho 'libcaffe.so: not found' >&2; exit 127\n")
    told = engine()
    assert told.exit_code == 1
    assert "does not start: libcaffe.so: not found" in told.output
