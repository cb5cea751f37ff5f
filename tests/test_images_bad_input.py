"""`./run images` where it cannot be: one message with the next step, and nothing left behind.

The programs are pretended ones, so that nothing is built; `./run images` itself builds.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.recipe import run, write_program

NEXT = "Next: "
# A builder that makes what it is asked for, and one that is at it for ever.
WORKING = {"buildah": "echo made", "mmdebstrap": 'touch "$3"', "runc": "exit 0"}
ENDLESS = """\
mkdir "$TMPDIR/over"
mount -t tmpfs none "$TMPDIR/over"
touch {here}/building
exec sleep 1000"""


@pytest.fixture
def pretend(tmp_path: Path) -> Path:
    """A folder to put before the PATH, with all that an image needs, and a root's rights."""
    folder = tmp_path / "pretend"
    folder.mkdir()
    for name, body in WORKING.items():
        write_program(folder / name, body)
    write_program(folder / "id", "echo 0")
    write_program(folder / "df", "printf 'Avail\\n900\\n'")
    write_program(folder / "dpkg-query", "exit 1")
    # what gives namespaces to root, without them
    write_program(folder / "unshare", 'while [[ $1 == --* ]]; do shift; done; exec "$@"')
    return folder


def environment(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder}:/usr/bin:/bin", "NETGEN_CACHE": str(folder.parent / "cache")}


def images(checkout: Path, pretend: Path, *kinds: str, missing: str = "nothing") -> str:
    """Run `./run images` without its set-up, which has to fail; return what it said."""
    script = (
        ". ./run; prepare() { :; }; "
        f'command() {{ [[ $2 != {missing} ]] && builtin command "$@"; }}; '
        f"image_commands; images {' '.join(kinds)}"
    )
    done = run("/bin/bash", "-c", script, cwd=checkout, env=environment(pretend))
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.count(NEXT) == 1
    assert not (checkout / "build/images/storage").exists()
    return done.stderr


def test_an_unknown_image_is_told_which_there_are(checkout: Path, pretend: Path) -> None:
    said = images(checkout, pretend, "gpu")
    assert "there is no image 'gpu'. Next: choose from cpu, cuda, cudnn, cuda-debian" in said


def test_who_is_not_root_is_told_to_be(checkout: Path, pretend: Path) -> None:
    write_program(pretend / "id", "echo 1000")
    assert "Next: sudo ./run images" in images(checkout, pretend)


@pytest.mark.parametrize("program", WORKING)
def test_a_missing_program_that_cannot_be_installed_is_named(
    program: str, checkout: Path, pretend: Path
) -> None:
    write_program(pretend / "apt-get", "exit 100")
    said = images(checkout, pretend, missing=program)
    assert re.search(rf"apt-get could not install these packages .*{program}", said)


def test_a_program_that_is_missing_though_installed_is_named(checkout: Path, pretend: Path) -> None:
    write_program(pretend / "dpkg-query", "echo installed")
    said = images(checkout, pretend, missing="runc")
    assert "there is no runc here. Next: install Debian's packages" in said


@pytest.mark.parametrize("name", ["IMAGES_CERTIFICATES", "IMAGES_PIP_CONF"])
def test_a_file_that_is_not_there_is_named(
    name: str, checkout: Path, pretend: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "nowhere.txt")
    assert "nowhere.txt. Next: name one with IMAGES_CERT" in images(checkout, pretend)


def test_a_machine_without_namespaces_is_told_what_to_do(checkout: Path, pretend: Path) -> None:
    write_program(pretend / "unshare", "echo 'unshare failed: not permitted' >&2; exit 1")
    said = images(checkout, pretend)
    assert "this machine gives no namespaces, not even to root" in said


def test_a_disk_too_small_is_told_before_anything_is_made(checkout: Path, pretend: Path) -> None:
    write_program(pretend / "df", "printf 'Avail\\n   3\\n'")
    said = images(checkout, pretend, "cpu", "cuda")
    assert "has 3 GiB free, and the images cpu cuda take up to 24" in said


@pytest.mark.parametrize("program", ["buildah", "mmdebstrap"])
def test_a_disk_that_fills_up_meanwhile_is_told(
    program: str, checkout: Path, pretend: Path
) -> None:
    write_program(pretend / program, "echo 'write /x: No space left on device' >&2; exit 1")
    said = images(checkout, pretend)
    assert "No space left on device" in said
    assert "the disk is full" in said


def test_another_failure_is_shown_with_its_log(checkout: Path, pretend: Path) -> None:
    body = (
        'if [[ " $* " == *" build "* ]]; then echo "STEP 1"; echo "E: no network" >&2; exit 1; fi'
    )
    write_program(pretend / "buildah", body)
    said = images(checkout, pretend)
    assert "E: no network" in said
    assert "netgen:cpu could not be built (its reason is above" in said
    assert "IMAGES_ in `./run help`" in said


def test_a_second_run_is_refused(checkout: Path, pretend: Path) -> None:
    (checkout / "build/images").mkdir(parents=True)
    with (checkout / "build/images/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another ./run images uses" in images(checkout, pretend)


def test_what_a_killed_run_left_is_removed_by_the_next(checkout: Path, pretend: Path) -> None:
    for name in ("storage/overlay/1/diff", "run/runc/one", "tmp/buildah1"):
        (checkout / "build/images" / name).mkdir(parents=True)
    write_program(pretend / "mmdebstrap", "ls -A build/images >&2; exit 1")
    said = images(checkout, pretend)
    assert "storage" not in said
    assert not (checkout / "build/images/run/runc").exists()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"TOOLKIT": "pypi", "CUDA": "12.6.3"}, "PyPI has no compiler of CUDA 12.6.3"),
        ({"TOOLKIT": "debian", "CUDNN": "1"}, "Debian's CUDA comes without cuDNN and NCCL"),
        ({"TOOLKIT": "debian", "NCCL": "1"}, "Debian's CUDA comes without cuDNN and NCCL"),
        ({"TOOLKIT": "conda"}, "TOOLKIT=conda is unknown"),
    ],
)
def test_a_toolkit_that_cannot_be_had_is_told_before_anything_is_installed(
    arguments: dict[str, str], what: str, checkout: Path, pretend: Path
) -> None:
    done = run(checkout / "docker/image.sh", "toolkit", env=environment(pretend) | arguments)
    assert done.returncode == 1
    assert what in done.stderr
    assert NEXT in done.stderr


# ---- with real namespaces -----------------------------------------------------------------------


def started(checkout: Path, pretend: Path) -> subprocess.Popen[str]:
    """Start `./run images` with a builder that never ends; return when it has mounted a folder."""
    allowed = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "true"], check=False,
        capture_output=True,
    )  # fmt: skip
    if allowed.returncode != 0:
        pytest.skip("this machine gives no namespaces: ./run images says so, and cannot run here")
    (pretend / "unshare").unlink()
    (pretend / "id").unlink()
    write_program(pretend / "mmdebstrap", ENDLESS.format(here=checkout))
    script = ". ./run; prepare() { :; }; image_commands; images"
    process = subprocess.Popen(
        ["/bin/bash", "-c", script], cwd=checkout, env=os.environ | environment(pretend), text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until((checkout / "building").exists)
    return process


def wait_until(happened: Callable[[], bool]) -> None:
    limit = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.01)


def running(folder: Path) -> list[str]:
    """The processes that work in a folder.

    Of one in another mount namespace, a reader in a chroot sees the path from the machine's root.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in str((process / "cwd").readlink()):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_goes_on_running_and_nothing_stays_mounted(
    number: signal.Signals, checkout: Path, pretend: Path
) -> None:
    with started(checkout, pretend) as process:
        try:
            wait_until(lambda: any("sleep 1000" in line for line in running(checkout)))
            process.send_signal(number)
            process.wait(30)
        finally:
            process.kill()
    wait_until(lambda: running(checkout) == [])
    assert str(checkout) not in Path("/proc/mounts").read_text()
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert not (checkout / "build/images/tmp").exists()
    shutil.rmtree(checkout)  # nothing in it is busy
