"""The machine (processor, memory, GPUs), and the versions of the software in use."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from netgen.system.text import MIB

PACKAGES = ("netgen", "numpy", "protobuf")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def versions(engine: str, engine_version: str) -> dict[str, str]:
    """Return the versions of this Python, its packages and `engine`, to be kept with a result."""
    found = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return found | {engine: engine_version}


def commit() -> str:
    """Return the commit of this netgen, "… with changes" if files differ; "unknown" without git."""
    folder = Path(__file__).parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return f"{head} with changes" if _git(folder, "status", "--porcelain", "-uno") else head
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> str:
    """Return a description of the processor, its usable cores and the operating system."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {platform.system()}"


def threads_wanted() -> int:
    """Return how many threads a BLAS takes: those of the environment, else one a usable core."""
    wanted = next((os.environ[name] for name in THREADS if name in os.environ), "")
    return int(wanted) if wanted.isdecimal() else len(os.sched_getaffinity(0))


def _git(folder: Path, *words: str) -> str:
    called = subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return called.stdout.strip()


# ---- memory -------------------------------------------------------------------------------------

# What numpy, OpenCV and matplotlib map, with room to work, and the threads of OpenBLAS.
ADDRESS_SPACE, PER_CORE = 2**29, 2**26
MOST_CORES = 64  # OpenBLAS as numpy brings it makes no more threads
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_memory() -> tuple[int, int]:
    """Return the machine's memory in bytes, total and available, within this process's limits."""
    info = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in info}
    total = min([sizes["MemTotal"], *_limits()])
    return total, min(total, sizes.get("MemAvailable", total))


class AddressSpaceError(ValueError):
    """A limit that lets libraries fail in ways of their own; the message says how to raise it."""


def check_address_space() -> None:
    """Check that the libraries fit into the address space that this process may take.

    Where they do not, OpenBLAS tries for minutes, and others end the process or fail at random.

    Raises
    ------
    AddressSpaceError
        They do not; the message has both numbers.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    cores = min(len(os.sched_getaffinity(0)), MOST_CORES)
    least = ADDRESS_SPACE + PER_CORE * cores
    if most != resource.RLIM_INFINITY and most < least:
        raise AddressSpaceError(
            f"this process may take {most // MIB:,} MiB of address space (`ulimit -v`), and the"
            f" libraries of this command need {least // MIB:,} on {cores} cores: raise the limit"
            f" (`ulimit -v {least // 1024}`), or remove it"
        )


def _limits() -> Iterator[int]:
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        yield most
    for file in map(Path, LIMITS):
        with suppress(OSError, ValueError):  # no such limit, or "max"
            yield int(file.read_text(encoding="utf-8"))


# ---- NVIDIA's GPUs, as the driver's `nvidia-smi` reports them -----------------------------------

COMPUTE_CAPABILITY = "compute_cap"  # drivers before 2021 do not know it
QUERY = ("name", "driver_version", "memory.total", "memory.free", COMPUTE_CAPABILITY)
TIMEOUT = 60  # seconds; waking the driver takes some


class GpuError(ValueError):
    """`nvidia-smi` finds no GPU; the message says why."""


@dataclass(frozen=True)
class Gpu:
    """A GPU; None where its driver does not report a value.

    Attributes
    ----------
    name, driver
        The GPU's name, and the version of its driver.
    memory, free
        Bytes in total, and bytes not in use.
    architecture
        The compute capability: 75 is 7.5.
    """

    name: str
    driver: str
    memory: int | None
    free: int | None
    architecture: int | None


def gpus(index: int | None = None) -> list[Gpu]:
    """Return the GPUs that this process may use, one or more; with `index`, only that one.

    Numbers are Caffe's: where CUDA_VISIBLE_DEVICES is set, as schedulers set it, they count the
    GPUs in that list, which the driver's own program ignores.

    Raises
    ------
    GpuError
        There is no GPU, or no driver for it.
    """
    answer = _nvidia_smi(QUERY, index)
    if answer.returncode != 0 and COMPUTE_CAPABILITY in answer.stdout + answer.stderr:
        answer = _nvidia_smi(QUERY[:-1], index)
    rows = [line.split(", ") for line in answer.stdout.splitlines()]
    if answer.returncode != 0 or not rows or min(map(len, rows)) < len(QUERY) - 1:
        output = (answer.stdout + answer.stderr).strip() or "nothing"
        raise GpuError(f"`nvidia-smi` says: {output.splitlines()[0]}")
    return [_gpu(*row) for row in rows]


def gpu_memory(index: int) -> tuple[int | None, int | None]:
    """Return a GPU's memory in bytes, total and free; None where it is not known."""
    try:
        (gpu,) = gpus(index)
    except GpuError:
        return None, None
    return gpu.memory, gpu.free


def gpu_name(index: int) -> str:
    """Return a GPU's name; "GPU" where it is not known."""
    try:
        (gpu,) = gpus(index)
    except GpuError:
        return "GPU"
    return gpu.name


def _nvidia_smi(query: tuple[str, ...], index: int | None) -> subprocess.CompletedProcess[str]:
    command = ["nvidia-smi", f"--query-gpu={','.join(query)}", "--format=csv,noheader,nounits"]
    command += _which(index)
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except OSError:
        raise GpuError("none: there is no `nvidia-smi`, which comes with the driver") from None
    except subprocess.TimeoutExpired:
        raise GpuError(f"`nvidia-smi` did not answer for {TIMEOUT} seconds") from None


def _which(index: int | None) -> list[str]:
    """Return the option that names the GPUs to `nvidia-smi`; none for all."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").replace(" ", "")
    if index is None:
        return [f"--id={visible}"] if visible else []
    listed = visible.split(",") if visible else []
    if listed and index >= len(listed):
        raise GpuError(f"there is no GPU {index} among those of CUDA_VISIBLE_DEVICES={visible}")
    return [f"--id={listed[index] if listed else index}"]


def _gpu(name: str, driver: str, memory: str, free: str, capability: str = "") -> Gpu:
    """Return a row of `nvidia-smi`; memory is in MiB, and unknown values are "[N/A]" or so."""
    architecture = capability.replace(".", "")
    return Gpu(
        name,
        driver,
        int(memory) * MIB if memory.isdecimal() else None,
        int(free) * MIB if free.isdecimal() else None,
        int(architecture) if architecture.isdecimal() else None,
    )
