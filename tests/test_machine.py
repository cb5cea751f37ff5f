"""GPUs as their driver reports them: a new driver, an old one, one that knows little, and none."""

from __future__ import annotations

from pathlib import Path

import pytest

from netgen.doctor.caffe_and_gpu import examine_gpus
from netgen.doctor.findings import DoctorRequest, Status
from netgen.system.machine import Gpu, GpuError, gpu_memory, gpu_name, gpus
from netgen.system.text import MIB, gib, listed

NEW = "echo 'Tesla T4, 535.183.01, 15360, 15000, 7.5'; echo 'Tesla T4, 535.183.01, 15360, 9, 7.5'"
ONE = "echo 'Tesla T4, 535.183.01, 15360, 9, 7.5'"
OLD = """case "$1" in
*compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2;;
*) echo 'Tesla K80, 418.87.00, 11441, 11000';;
esac"""
SHARED = "echo 'NVIDIA GB10, 580.95.05, [N/A], [N/A], 12.1'"


@pytest.fixture
def smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only `nvidia-smi` there is, to be written."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "nvidia-smi"


def write(smi: Path, script: str) -> None:
    smi.write_text(f"#!/bin/sh\n{script}\n")
    smi.chmod(0o755)


def test_gpus_have_names_memory_in_bytes_and_an_architecture(smi: Path) -> None:
    write(smi, NEW)
    total, free = 15360 * MIB, 15000 * MIB
    assert gpus() == [
        Gpu("Tesla T4", "535.183.01", total, free, 75),
        Gpu("Tesla T4", "535.183.01", total, 9 * MIB, 75),
    ]


def test_one_gpu_is_asked_for_by_its_number(smi: Path) -> None:
    write(smi, f'[ "$3" = --id=1 ] || exit 9; {ONE}')
    assert gpu_name(1) == "Tesla T4"
    assert gpu_memory(1) == (15360 * MIB, 9 * MIB)


@pytest.mark.parametrize("visible", ["1", "3,1", "GPU-8f2b", "2,GPU-8f2b"])
def test_a_schedulers_list_says_which_gpu_a_number_means(
    smi: Path, monkeypatch: pytest.MonkeyPatch, visible: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    write(smi, f'[ "$3" = --id={visible} ] && {{ {NEW}; }} || echo "$3, 1, 1, 1, 7.5"')
    assert len(gpus()) == 2
    write(smi, 'echo "$3, 1, 1, 1, 7.5"')
    allowed = visible.split(",")
    assert [gpu_name(number) for number in range(len(allowed))] == [
        f"--id={one}" for one in allowed
    ]
    assert gpu_memory(len(allowed)) == (None, None)


def test_a_driver_that_does_not_know_compute_capabilities(smi: Path) -> None:
    write(smi, OLD)
    assert gpus() == [Gpu("Tesla K80", "418.87.00", 11441 * MIB, 11000 * MIB, None)]
    assert gpu_memory(0) == (11441 * MIB, 11000 * MIB)
    found, caffe = examine_gpus(DoctorRequest(gpu=True))
    assert (found.status, found.what) == (Status.OK, "Tesla K80, 11.2 GiB, driver 418.87.00")
    assert caffe.next_step == "`CAFFE_GPU=1 ./run setup`"


def test_a_gpu_that_shares_the_machines_memory(smi: Path) -> None:
    write(smi, SHARED)
    assert gpus() == [Gpu("NVIDIA GB10", "580.95.05", None, None, 121)]
    assert gpu_name(0) == "NVIDIA GB10"
    assert gpu_memory(0) == (None, None)
    assert examine_gpus(DoctorRequest())[0].what == "NVIDIA GB10, memory unknown, driver 580.95.05"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'No devices were found'; exit 6", "says: No devices were found"),
        ("echo 'No devices were found'", "says: No devices were found"),
        ("exit 0", "says: nothing"),
        (None, "there is no `nvidia-smi`"),
    ],
)
def test_no_gpu_is_an_error_with_the_drivers_words(
    smi: Path, script: str | None, message: str
) -> None:
    if script is not None:
        write(smi, script)
    with pytest.raises(GpuError, match=message):
        gpus()
    assert gpu_name(0) == "GPU"
    assert gpu_memory(0) == (None, None)


def test_lists_and_sizes_in_messages() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(i) for i in range(1300)]) == "0, 1, 2 and 1,297 more"
    assert gib(3 * 2**29) == 1.5
