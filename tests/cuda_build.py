"""What a Caffe with CUDA has to show where there is no GPU; `./run cuda-build` runs it.

The Caffe examined is that of the Python that runs this.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.any_caffe import train_and_evaluate

from netgen.caffe.engine import EngineError, find_engine, require_gpu
from netgen.system.machine import GpuError, gpus

LIBRARY = find_engine().program.resolve().parent.parent / "lib/libcaffe.so"


def has_gpu() -> bool:
    try:
        return bool(gpus())
    except GpuError:
        return False


def said(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_program_starts_and_is_found_to_be_a_build_with_cuda() -> None:
    engine = find_engine()
    assert engine.cuda
    assert engine.build["devices"] == "CPU, CUDA"


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so_and_ends() -> None:
    with pytest.raises(EngineError, match=r"finds no GPU: Check failed.*CUDA"):
        require_gpu(find_engine())


def test_the_library_holds_kernels_and_is_linked_to_every_part_of_cuda_asked_for() -> None:
    assert ".nv_fatbin" in said("readelf", "--wide", "--sections", LIBRARY)
    linked = said("ldd", LIBRARY)
    wanted = ["cublas", "curand", "cudart"]
    if "cuDNN yes" in find_engine().build["gpu"]:
        wanted.append("cudnn")
    for library in wanted:
        assert re.search(rf"lib{library}\.so\.\d+ => /", linked), linked


def test_it_trains_on_the_cpu_where_there_is_no_gpu(tmp_path: Path) -> None:
    if "cuDNN yes" in find_engine().build["gpu"] and not has_gpu():
        pytest.skip("layers of cuDNN ask for a GPU when they are made, whatever the mode")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    assert train_and_evaluate(tmp_path)
