"""The software GPU itself: what kernels and libraries compute, and what it does not let pass."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.once import Once
from support.software_gpu import COMPLAINT, FOLDER, Toolkit, toolkit

from netgen.system.machine import GpuError, gpu_memory, gpus
from netgen.system.text import MIB


@pytest.fixture(scope="session")
def cuda(once: Once) -> Toolkit:
    return once("software-gpu-toolkit", toolkit)


@pytest.fixture(scope="session")
def program(cuda: Toolkit, once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of examples/kernels.cu."""

    def make() -> Path:
        made = tmp_path_factory.mktemp("software-gpu") / "kernels"
        cuda.compile(FOLDER / "examples/kernels.cu", made)
        return made

    return once("software-gpu-kernels", make)


def ran(program: Path, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, name], env=environment, text=True, capture_output=True, timeout=60, check=False
    )


def said(program: Path, name: str, **environment: str) -> str:
    run = ran(program, name, **environment)
    assert run.returncode == 0
    assert run.stderr == ""
    return run.stdout.rstrip()


# ---- kernels ------------------------------------------------------------------------------------


def test_every_thread_of_a_grid_runs_once_however_it_was_launched(program: Path) -> None:
    """By a template, its arguments given or not, and in a macro; fewer threads than numbers."""
    assert said(program, "visits").splitlines() == ["3 3 2 2 2 1 1 1 1 1 ", "no error"]


def test_a_thread_knows_its_place_in_three_dimensions(program: Path) -> None:
    places = [100 * block + thread for block in range(4) for thread in range(12)]
    assert [int(place) for place in said(program, "places").split()] == places


@pytest.mark.parametrize("order", ["forward", "reversed"])
def test_threads_of_a_block_wait_for_each_other(program: Path, order: str) -> None:
    assert said(program, "barrier", SOFTWARE_GPU_ORDER=order) == "4 3 2 1 8 7 6 5"


@pytest.mark.parametrize(("order", "last"), [("forward", "5"), ("reversed", "0")])
def test_threads_run_in_the_order_asked_for(program: Path, order: str, last: str) -> None:
    assert said(program, "order", SOFTWARE_GPU_ORDER=order) == last


def test_a_kernels_functions_are_those_for_real_numbers(program: Path) -> None:
    assert said(program, "absolute") == "0.5", "C's abs is for whole ones"


# ---- libraries ----------------------------------------------------------------------------------


def test_matrices_lie_column_by_column(program: Path) -> None:
    a = np.arange(25.0).reshape(5, 5).T  # the memory's numbers, column by column
    b = 100 - 3 * a
    for way, line in enumerate(said(program, "multiply").splitlines()):
        left = a[:4, :2].T if way & 1 else a[:2, :4]
        right = b[:3, :4].T if way & 2 else b[:4, :3]
        expected = np.ones((5, 3))
        expected[:2] = 2 * left @ right + 0.5
        status, *numbers = line.split()
        assert status == "0"
        np.testing.assert_array_equal(np.array(numbers, float).reshape(3, 5).T, expected)


def test_columns_that_overlap_are_refused(program: Path) -> None:
    assert said(program, "overlapping") == "7"  # CUBLAS_STATUS_INVALID_VALUE


def test_random_numbers_follow_the_seed_and_normal_ones_come_in_pairs(program: Path) -> None:
    first, again, status = said(program, "draw").splitlines()
    assert first == again
    assert all(0 < float(number) <= 1 for number in first.split())
    assert status == "105"  # CURAND_STATUS_LENGTH_NOT_MULTIPLE


def test_what_is_given_to_a_stream_happens_when_that_is_waited_for(program: Path) -> None:
    assert said(program, "copy-late").split() == ["1", "2"]


# ---- what a GPU would punish --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "complaint", "error"),
    [
        ("no-blocks", "no GPU runs a grid of 0 x 1 x 1 blocks", "invalid configuration argument"),
        ("too-many-threads", "blocks of 1025 x 1 x 1 threads", "invalid configuration argument"),
        ("hosts-memory", "argument 2 points to no memory of device 0", "illegal memory access"),
        ("freed", "argument 2 points to no memory of device 0", "illegal memory access"),
        ("other-device", "argument 2 points to no memory of device 1", "illegal memory access"),
        ("beside", "write_at wrote beside an allocation of 16 bytes", "illegal memory access"),
        ("wrong-direction", "cudaMemcpy, the target", "invalid argument"),
        ("waiting", "2 of a block's 4 threads ended while the others", "launch failure"),
    ],
)
def test_what_a_gpu_does_not_do_is_said_and_is_an_error(
    program: Path, name: str, complaint: str, error: str
) -> None:
    run = ran(program, name, SOFTWARE_GPUS="2")
    assert complaint in run.stderr
    assert run.stderr.startswith(COMPLAINT)
    assert error in run.stdout


def test_a_kernel_that_goes_far_beside_its_memory_ends_the_program(program: Path) -> None:
    run = ran(program, "far-beside")
    assert run.returncode < 0
    assert "write_at touched memory outside what it was given" in run.stderr


def test_a_host_that_reads_a_devices_memory_ends_the_program(program: Path) -> None:
    if " ospke " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no protection keys")
    run = ran(program, "host-reads")
    assert run.returncode < 0
    assert "the host touched memory of a device" in run.stderr


# ---- the machine --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "devices"),
    [
        ({}, "no error 1"),
        ({"SOFTWARE_GPUS": "3"}, "no error 3"),
        ({"SOFTWARE_GPUS": "3", "CUDA_VISIBLE_DEVICES": "2,0"}, "no error 2"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "no CUDA-capable device is detected 0"),
        ({"SOFTWARE_GPUS": "0"}, "no CUDA-capable device is detected 0"),
    ],
)
def test_the_environment_says_how_many_devices_there_are(
    program: Path, environment: dict[str, str], devices: str
) -> None:
    assert said(program, "devices", **environment) == devices


@pytest.mark.parametrize("name", ["SOFTWARE_GPUS", "SOFTWARE_GPU_MEMORY", "SOFTWARE_GPU_ORDER"])
def test_a_setting_that_means_nothing_is_named(program: Path, name: str) -> None:
    run = ran(program, "order", **{name: "some"})
    assert run.returncode == 2
    assert f"{name}='some'" in run.stderr


@pytest.fixture
def machine(cuda: Toolkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", cuda.path)
    monkeypatch.setenv("SOFTWARE_GPU_STATE", str(tmp_path / "state"))


@pytest.mark.usefixtures("machine")
def test_netgen_finds_the_devices_that_nvidia_smi_tells_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTWARE_GPUS", "2")
    found = gpus()
    assert len(found) == 2
    assert found[0].architecture == 90
    assert found[0].memory == found[0].free == 12288 * MIB
    with pytest.raises(GpuError, match="No devices were found"):
        gpus(2)


@pytest.mark.usefixtures("machine")
def test_memory_runs_out_and_nvidia_smi_tells_how_much_is_left(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTWARE_GPU_MEMORY", "5")
    with subprocess.Popen(
        [program, "memory"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().rstrip() for _ in range(3)]
        used = gpu_memory(0)
        process.communicate("\n")
    assert told == ["no error", "out of memory", "2 of 5"]
    assert used == (5 * MIB, 2 * MIB)
    assert gpu_memory(0) == (5 * MIB, 5 * MIB), "what has ended uses nothing"
