"""`./run bare`: a root of its own, in namespaces of its own, of which nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import ROOT
from support.recipe import bash, run, write_program

# In place of debootstrap's: this machine's own programs, bound into the root, for as long as the
# namespace is there in which this is called; read-only, so that nothing can remove them.
DEBOOTSTRAP = """\
root=$4
mkdir -p $root/{usr,etc,proc,sys,dev,tmp}
mount --options bind,ro /usr $root/usr
for folder in bin lib lib64 sbin; do ln -s usr/$folder $root/$folder; done
mknod -m 666 $root/dev/null c 1 3
echo pretended >$root/etc/debian_version
mkdir -p $root/etc/ssl/certs $root/etc/apt/apt.conf.d
echo "$1 $2 $3 $5" >$root/etc/asked
"""
ALLOWED = run("unshare", "--mount", "--pid", "--fork", "true").returncode == 0
needs_namespaces = pytest.mark.skipif(not ALLOWED, reason="no root, or no namespaces, here")


@pytest.fixture
def clone(checkout: Path, tmp_path: Path) -> Path:
    """A repository with `./run bare`, whose demo and test are what the test writes into `./run`."""
    (tmp_path / "programs").mkdir()
    write_program(tmp_path / "programs/debootstrap", DEBOOTSTRAP)
    (checkout / ".gitignore").write_text("/build/\n")
    return checkout


def commit(clone: Path, body: str) -> None:
    """Let `./run demo` and `./run test` in the root be this script."""
    write_program(clone / "run", body)
    bash(
        "git init -q . && git add --all"
        " && git -c user.name=a -c user.email=a@example.org commit -q -m all",
        cwd=clone,
    )


def path_of(clone: Path) -> dict[str, str]:
    return {"PATH": f"{clone.parent}/programs:/usr/sbin:/usr/bin:/sbin:/bin"}


def bare(
    clone: Path, *words: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return run(clone / "docker/bare.sh", *words, cwd=clone, env=path_of(clone) | (env or {}))


def left_of(clone: Path) -> list[str]:
    """What lies in build/, and what is mounted there."""
    mounts = Path("/proc/self/mountinfo").read_text()
    return [
        *sorted(file.name for file in (clone / "build").iterdir()),
        *(line for line in mounts.splitlines() if str(clone) in line),
    ]


# ---- what it does -------------------------------------------------------------------------------


@needs_namespaces
def test_both_commands_run_in_a_root_with_nothing_of_the_callers_but_its_network(
    clone: Path,
) -> None:
    commit(clone, 'echo "$1 in $PWD as $(id -u):"; cat /etc/asked; env; ls / /netgen; mount')
    result = bare(
        clone, "trixie",
        env={"https_proxy": "http://proxy.example:3128", "SECRET": "mine", "DEBIAN_MIRROR": "http://m"},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    for word in ("demo", "test"):
        assert f"{word} in / as 0:" in result.stdout
        assert f"./run {word}: passed, in " in result.stdout
    assert "--variant=minbase --include=git,ca-certificates trixie http://m" in result.stdout
    assert "https_proxy=http://proxy.example:3128" in result.stdout
    assert "SECRET" not in result.stdout
    assert "proc on /proc type proc" in result.stdout
    assert " on / type " in result.stdout
    assert left_of(clone) == ["bare-trixie.lock", "bare-trixie.log"]
    assert (clone / "build/bare-trixie.log").read_text() == result.stdout


@needs_namespaces
def test_what_is_not_committed_is_left_out_and_said(clone: Path) -> None:
    commit(clone, "ls /netgen")
    (clone / "new.txt").touch()
    result = bare(clone, "bookworm")
    assert "the last commit is run, without what is not committed (1 files)" in result.stderr
    assert "new.txt" not in result.stdout


@needs_namespaces
def test_the_tests_run_also_after_a_demo_that_failed_and_both_are_reported(clone: Path) -> None:
    commit(clone, '[[ $1 == test ]] || { echo "no demo today"; exit 3; }')
    result = bare(clone, "bookworm")
    assert result.returncode == 1
    assert "./run demo: FAILED, after " in result.stdout
    assert "./run test: passed, in " in result.stdout
    assert f"all of it is in {clone}/build/bare-bookworm.log" in result.stderr
    assert "no demo today" in (clone / "build/bare-bookworm.log").read_text()
    assert left_of(clone) == ["bare-bookworm.lock", "bare-bookworm.log"]


@pytest.fixture
def under_way(clone: Path) -> Iterator[subprocess.Popen[str]]:
    """A run whose demo has started a second process and waits for it; the first line is its own."""
    commit(clone, "sleep 1000 & echo waiting; mount -t tmpfs tmpfs /tmp; wait")
    with subprocess.Popen(
        [clone / "docker/bare.sh", "trixie"],
        cwd=clone, env=os.environ | path_of(clone), start_new_session=True, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        while "waiting" not in process.stdout.readline():
            assert process.poll() is None
        yield process
        process.kill()


@needs_namespaces
@pytest.mark.parametrize(("name", "status"), [("INT", 130), ("TERM", 143), ("HUP", 143)])
def test_a_signal_ends_all_of_it_and_removes_the_root(
    clone: Path, under_way: subprocess.Popen[str], name: str, status: int
) -> None:
    under_way.send_signal(signal.Signals[f"SIG{name}"])
    under_way.communicate(timeout=50)  # until the last process that could write has ended
    assert under_way.returncode == status
    assert left_of(clone) == ["bare-trixie.lock", "bare-trixie.log"]


@needs_namespaces
def test_a_run_that_was_killed_leaves_no_process_and_no_mount_and_the_next_removes_its_files(
    clone: Path, under_way: subprocess.Popen[str]
) -> None:
    under_way.kill()
    under_way.communicate(timeout=50)
    assert left_of(clone) == ["bare-trixie", "bare-trixie.lock", "bare-trixie.log"]
    (clone / "build/bare-trixie/left").touch()
    commit(clone, "ls /")
    result = bare(clone, "trixie")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "left" not in result.stdout.split()
    assert left_of(clone) == ["bare-trixie.lock", "bare-trixie.log"]


# ---- what it refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("sid",), ("bookworm", "trixie"), ("",), ("book",)])
def test_what_is_no_release_is_told_those_there_are(words: tuple[str, ...]) -> None:
    result = run(ROOT / "run", "bare", *words)
    assert result.returncode == 1
    assert f"bare: '{' '.join(words)}' is not one of bookworm, trixie." in result.stderr
    assert "Next: ./run bare trixie" in result.stderr


@pytest.mark.parametrize(
    ("broken", "message", "next_step"),
    [
        ("id() { echo 1000; }", "takes root", "Next: sudo ./run bare trixie"),
        ("hide debootstrap", "there is no debootstrap here", "Next: apt-get install debootstrap"),
        ("unshare() { return 1; }", "no mount and process namespaces", "a virtual machine"),
        ("df() { echo 3; }", "takes 9 GiB, and ", "Next: make room there"),
        (
            "findmnt() { printf '%s\\n' / $PWD/build/bare-trixie/proc $PWD/build/bare-trixie2; }",
            "something is mounted in {clone}/build/bare-trixie, which would be removed: "
            "{clone}/build/bare-trixie/proc\n",
            "Next: umount --recursive {clone}/build/bare-trixie",
        ),
        (
            "mkdir build; exec 8>build/bare-trixie.lock; flock 8",
            "another ./run bare trixie of this clone is running",
            "Next: wait for it",
        ),
    ],
)
def test_what_is_lacking_is_named_with_the_next_step_before_anything_is_made(
    clone: Path, broken: str, message: str, next_step: str
) -> None:
    hide = 'hide() { hidden=$1; command() { [[ $2 != "$hidden" ]] && builtin command "$@"; }; }'
    able = "id() { echo 0; }; unshare() { true; }; df() { echo 99; }; findmnt() { echo /; }"
    script = (
        f". docker/bare.sh; in_namespace() {{ echo made; }}; {able}; {hide}; {broken}; main trixie"
    )
    result = run("/bin/bash", "-c", script, cwd=clone, env=path_of(clone))
    assert result.returncode == 1, result.stdout
    assert message.format(clone=clone) in result.stderr
    assert next_step.format(clone=clone) in result.stderr
    assert result.stdout == ""


@needs_namespaces
def test_debootstraps_own_reason_is_shown_and_nothing_of_its_root_stays(clone: Path) -> None:
    write_program(
        clone.parent / "programs/debootstrap",
        'mkdir -p "$4/proc"; mount -t proc proc "$4/proc"; echo "E: Failed getting it"; exit 1',
    )
    commit(clone, "true")
    result = bare(clone, "trixie")
    assert result.returncode == 1
    assert "E: Failed getting it" in result.stdout
    assert "Next: mend the network or its proxy, or name a mirror: DEBIAN_MIRROR=" in result.stdout
    assert "bare-trixie" not in left_of(clone)
