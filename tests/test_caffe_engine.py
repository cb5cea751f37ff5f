"""Which Caffe would train: the real one of this environment, none at all, and broken ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from netgen.caffe.engine import EngineError, find_engine, require_gpu

CUDA_WITHOUT_A_GPU = """\
#!/bin/sh
if [ "$1" = --version ]; then echo "caffe version 1.0.0"; exit 0; fi
echo "F1122 10:00:00.1 7 common.cpp:152] Check failed: error == cudaSuccess (100 vs. 0)  no \
CUDA-capable device is detected" >&2
exit 134
"""


def only_caffe(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str | None) -> None:
    """Make `script` the only caffe there is, or leave none."""
    if script is not None:
        (folder / "caffe").write_text(script)
        (folder / "caffe").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python3"))
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_caffe_of_this_environment_is_found_with_what_it_was_built_from() -> None:
    found = find_engine()
    assert found.program.parent == Path(sys.executable).parent
    assert not found.cuda
    assert found.build["era"] in {"2016", "1.0"}
    assert found.build["devices"] == "CPU"


def test_a_caffe_for_the_cpu_asked_for_a_gpu_says_so_and_what_to_do() -> None:
    with pytest.raises(EngineError, match=r"built for the CPU only.*--solver-mode cpu"):
        require_gpu(find_engine())


def test_no_caffe_names_the_command_that_builds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only_caffe(monkeypatch, tmp_path, None)
    with pytest.raises(EngineError, match=r"\./run setup"):
        find_engine()


def test_a_caffe_with_cuda_but_no_gpu_says_what_cuda_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only_caffe(monkeypatch, tmp_path, CUDA_WITHOUT_A_GPU)
    found = find_engine()
    assert found.cuda
    assert not found.build  # from elsewhere, it has no record
    with pytest.raises(EngineError, match=r"no CUDA-capable device.*nvidia-smi"):
        require_gpu(found)


def test_a_caffe_that_does_not_start_gives_one_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only_caffe(monkeypatch, tmp_path, "#!/bin/sh\necho 'libcaffe.so: not found' >&2; exit 127\n")
    with pytest.raises(EngineError, match=r"does not start: libcaffe\.so: not found"):
        find_engine()
