"""`--scheduler`: a real Dask scheduler and worker processes make the bytes of a local run."""

from __future__ import annotations

import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from support.data import PROGRAM, fail, fingerprints, first_published, netgen, photographs, succeed
from support.photographs import photograph, saved

from data_prep import workers
from data_prep.cifar100 import Cifar100
from data_prep.class_folders import class_folders
from data_prep.fashion_mnist import fashion_mnist
from data_prep.images import Decoding
from data_prep.reading import ImageReader

pytest.importorskip("distributed")
DASK = str(Path(sys.executable).parent / "dask")
SIZE = ("--size", 64)
LOOPBACK = "tcp://127.0.0.1:"


@dataclass(frozen=True)
class Cluster:
    address: str
    scheduler: subprocess.Popen[str]
    workers: list[subprocess.Popen[str]]


@contextmanager
def started(*command: str, until: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a program of Dask's, and give it with what it said last when it was ready."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        lines = iter(process.stderr or ())
        said = next((line for line in lines if until in line), "nothing")
        assert until in said
        yield process, said
    finally:
        process.kill()
        process.communicate()


@contextmanager
def cluster(folder: Path, *shells: str) -> Iterator[Cluster]:
    """Start a scheduler, and a worker for each of `shells`: what its shell does beforehand."""
    with ExitStack() as stack:
        scheduler, said = stack.enter_context(
            started(DASK, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                    until="Scheduler at")
        )  # fmt: skip
        address = said.split()[-1]
        workers = []
        for number, shell in enumerate(shells):
            options = f"--nthreads 1 --no-nanny --no-dashboard --local-directory {folder}/{number}"
            worker = f"{shell} exec '{DASK}' worker {address} {options}"
            command = ["bash", "-ec", worker]
            if "mount" in shell:  # which nobody else should see
                command = ["unshare", "--mount", *command]
            process, _ = stack.enter_context(started(*command, until="Registered to"))
            workers.append(process)
        yield Cluster(address, scheduler, workers)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("dask"), "", "") as found:
        yield found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,200 images of four pairs, and some that are rejected."""
    folder = tmp_path_factory.mktemp("images")
    contents = [saved(photograph(number, 400, 300)) for number in range(20)]
    for i in range(1_200):
        file = folder / ("happy_dog", "sad_dog", "happy_sky", "sad_sky")[i % 4] / f"{i}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(contents[i % 20] + i.to_bytes(4, "big"))
    (folder / "sad_dog" / "cut.jpg").write_bytes(contents[0][:3000])
    damaged = contents[0][:3000] + b"\xff\xd9" + contents[0][3000:]
    (folder / "sad_dog" / "hole.jpg").write_bytes(damaged)  # so the writing starts over
    (folder / "sad_dog" / "gone.jpg").symlink_to("nowhere")
    return folder


@pytest.fixture(scope="module")
def local(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("local") / "out"
    succeed("mtvso", root, "--out", out, *SIZE)
    return fingerprints(out)


@contextmanager
def running(root: Path, out: Path, address: str, code: str = "") -> Iterator[subprocess.Popen[str]]:
    """Start a conversion on a cluster, after some code of its own; none outlives its test."""
    arguments = ["mtvso", root, "--out", out, *SIZE, "--scheduler", address]
    program = ["-c", f"{code}\nfrom netgen.commands.cli import main\nmain()", "data"]
    command = list(map(str, [sys.executable, *program, *arguments]))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stderr=pipe, text=True) as run:
        try:
            yield run
        finally:
            run.kill()


def ended(run: subprocess.Popen[str]) -> str:
    """Wait for it, and return what it said; this ends its pause."""
    return run.communicate(timeout=120)[1]


# Some records are written then, and many are not.
PAUSE = """
import sys
from data_prep.writing import SplitWriter
append = SplitWriter.append
def first(*batch):
    SplitWriter.append = append
    append(*batch)
    print("paused", file=sys.stderr, flush=True)
    sys.stdin.read()
SplitWriter.append = first
"""


def until_paused(run: subprocess.Popen[str]) -> None:
    """Wait until a run that began with `PAUSE` has written its first batch."""
    said = list(iter(partial(next, run.stderr or iter(())), "paused\n"))
    assert run.poll() is None, said


def test_two_workers_make_the_bytes_of_a_local_run(
    two_workers: Cluster, root: Path, local: dict[str, str], tmp_path: Path
) -> None:
    with running(root, tmp_path / "out", two_workers.address) as run:
        said = ended(run)
    assert run.returncode == 0, said
    assert fingerprints(tmp_path / "out") == local
    assert said.splitlines()[0] == "listing"  # and nothing of Dask's own
    assert said.count("writing again without it") == 1
    assert "distributed" not in said


def test_pixels_without_files_too(two_workers: Cluster, tmp_path: Path) -> None:
    source = first_published(tmp_path / "published")
    command = [*PROGRAM, "fashion-mnist", "--source-folder", source]
    for name, options in {"there": ["--scheduler", two_workers.address], "here": []}.items():
        run = [*command, "--out", tmp_path / name, *options]
        subprocess.run(list(map(str, run)), check=True, capture_output=True)
    assert fingerprints(tmp_path / "there") == fingerprints(tmp_path / "here")


def test_the_work_of_a_worker_that_is_killed_is_done_by_another(
    root: Path, local: dict[str, str], tmp_path: Path
) -> None:
    with (
        cluster(tmp_path, "", "") as found,
        running(root, tmp_path / "out", found.address, PAUSE) as run,
    ):
        until_paused(run)
        found.workers[0].kill()
        said = ended(run)
        assert run.returncode == 0, said
        assert found.workers[0].wait(10) == -signal.SIGKILL
    assert fingerprints(tmp_path / "out") == local


def test_when_all_workers_are_lost_it_says_so_and_leaves_nothing(
    root: Path, tmp_path: Path
) -> None:
    patience = "from data_prep import workers\n"
    patience += "workers.CHECK_INTERVAL = workers.NO_WORKERS_TIMEOUT = 1"
    out = tmp_path / "out"
    with (
        cluster(tmp_path, "") as found,
        running(root, out, found.address, PAUSE + patience) as run,
    ):
        until_paused(run)
        found.workers[0].kill()
        said = ended(run)
    assert run.returncode == 1
    expected = f"Error: {out}: {found.address}: no worker for 1 seconds: start some, and run again"
    assert said.splitlines()[-1] == expected
    assert not list(tmp_path.glob("*out*"))


def test_the_time_for_lost_workers_to_return_begins_anew_with_every_answer() -> None:
    begun = []

    def checks() -> Callable[[], None]:
        begun.append("now")
        return begun.clear

    with (
        ThreadPoolExecutor(1) as executor,
        workers.Workers(executor, 1, checks).ahead(str, range(3)) as done,
    ):
        assert [text for _, text in done] == ["0", "1", "2"]
    assert len(begun) == 3


def test_when_the_scheduler_is_lost_it_says_so_and_leaves_nothing(
    root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with cluster(tmp_path, "") as found, running(root, out, found.address, PAUSE) as run:
        until_paused(run)
        found.scheduler.kill()
        said = ended(run)
    assert run.returncode == 1
    assert said.splitlines()[-1].endswith(f"{found.address}: the scheduler was lost: run again")
    assert "Traceback" not in said
    assert not list(tmp_path.glob("*out*"))


def test_a_worker_that_does_not_see_the_images_is_an_error_not_many_rejects(
    root: Path, tmp_path: Path
) -> None:
    blind = f"mount -t tmpfs none '{root}';"
    trial = ["unshare", "--mount", "bash", "-ec", blind]
    if subprocess.run(trial, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")
    with (
        cluster(tmp_path, "", blind) as found,
        running(root, tmp_path / "out", found.address) as run,
    ):
        said = ended(run)
    assert run.returncode == 1
    assert re.fullmatch(
        r"Error: \w+/\d+\.jpg: a worker of the cluster reports 'No such file or directory',"
        r" but this .*: workers need the same files at the same paths, as on a shared disk",
        said.splitlines()[-1],
    )
    assert not list(tmp_path.glob("*out*"))


def test_a_worker_without_netgen_is_an_error(root: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare" / "data_prep"
    bare.mkdir(parents=True)
    (bare / "__init__.py").touch()
    # An installed netgen must not be found behind this one.
    (bare / "workers.py").write_text('raise ModuleNotFoundError("no", name="data_prep.workers")\n')
    with (
        cluster(tmp_path, f"export PYTHONPATH={bare.parent};") as found,
        running(root, tmp_path / "out", found.address) as run,
    ):
        said = ended(run)
    assert said.splitlines()[-1] == (
        f"Error: {found.address}: a worker has no 'data_prep.workers': install the same netgen"
        " there as here"
    )


def test_a_scheduler_that_does_not_answer_is_an_error_within_seconds(
    root: Path, tmp_path: Path
) -> None:
    begin = time.monotonic()
    with running(root, tmp_path / "out", f"{LOOPBACK}1") as run:
        said = ended(run)
    assert time.monotonic() - begin < 30  # of which it waits 5, on a busy machine
    assert run.returncode == 1
    assert said.startswith(f"Error: no Dask scheduler answers at {LOOPBACK}1 (Timed out")
    assert said.count("\n") == 1


def test_a_scheduler_without_workers_is_an_error(root: Path, tmp_path: Path) -> None:
    with cluster(tmp_path) as found, running(root, tmp_path / "out", found.address) as run:
        said = ended(run)
    assert said == (
        f"Error: {found.address}: a scheduler without workers: start some (`dask worker`)\n"
    )


@pytest.mark.parametrize("address", ["", "nonsense", "http://head:80", "tcp://head", "tcp://:x"])
def test_what_is_no_address_is_an_error(root: Path, tmp_path: Path, address: str) -> None:
    message = fail("mtvso", root, "--out", tmp_path / "out", "--scheduler", address)
    assert f"--scheduler {address}: no scheduler's address, such as tcp://head:8786" in message


def test_without_distributed_it_says_what_to_install(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    message = fail("mtvso", root, "--out", tmp_path / "out", "--scheduler", f"{LOOPBACK}1")
    assert message.endswith("pip install 'netgen[cluster]'")


def test_jobs_and_a_scheduler_exclude_each_other(root: Path, tmp_path: Path) -> None:
    options = ("--scheduler", f"{LOOPBACK}1", "--jobs", 2)
    result = netgen("mtvso", root, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert "--jobs sets this machine's threads" in result.output


def test_no_images_travel_to_the_workers_whatever_the_source(tmp_path: Path) -> None:
    """CIFAR-100 and Fashion-MNIST are arrays in memory here: only their path is sent."""
    published = fashion_mnist(first_published(tmp_path / "published"))
    files = class_folders(photographs(tmp_path / "root", {"a": 1, "b": 1}))
    for load in (published.load, files.load, Cifar100(tmp_path).load):
        assert len(pickle.dumps(ImageReader(load, files.stamp, Decoding((64, 64))).scan)) < 1_500
