"""`netgen build` that fails on the way leaves everything as it was."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.build_command import NARROW, program, refused, succeed, tree

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


# Root may write anywhere, except without this capability.
NO_PRIVILEGES = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
)
OLD = ("build", "--variant", "xs", "--out", "out", *NARROW)
NEW = ("build", "--variant", "xs", "--out", "out")


@pytest.fixture
def old(tmp_path: Path) -> dict[str, bytes | None]:
    """A network built earlier, which a build that fails must not touch."""
    succeed(*OLD)
    return tree(tmp_path)


def failed(result: subprocess.CompletedProcess[str]) -> str:
    """The one message of a command that failed."""
    assert result.returncode == 1, result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stdout == ""
    return result.stderr


@pytest.mark.parametrize("place", ["out/solvers", "out/models/xs"])
def test_without_write_permission_the_old_files_stay(
    place: str, old: dict[str, bytes | None], tmp_path: Path
) -> None:
    (tmp_path / place).chmod(0o555)
    message = failed(program(*NO_PRIVILEGES, arguments=NEW, folder=tmp_path))
    (tmp_path / place).chmod(0o755)
    assert "Permission denied: check its permissions, or choose another place" in message
    assert place in message
    assert tree(tmp_path) == old


def test_a_write_that_breaks_off_leaves_the_old_files(
    old: dict[str, bytes | None], tmp_path: Path
) -> None:
    message = failed(program("prlimit", "--fsize=30000", arguments=NEW, folder=tmp_path))
    assert "File too large" in message
    assert tree(tmp_path) == old


def test_something_else_in_a_files_place_leaves_the_old_files(
    old: dict[str, bytes | None], tmp_path: Path
) -> None:
    (tmp_path / "out/solvers/xs.prototxt").unlink()
    (tmp_path / "out/solvers/xs.prototxt").mkdir()
    before = tree(tmp_path)
    assert "xs.prototxt: Is a directory" in refused(1, *NEW)
    assert tree(tmp_path) == before
    assert before.keys() == old.keys()


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "file" in refused(2, "build", "--variant", "xs", "--out", "file")
    assert "Not a directory" in refused(1, "build", "--variant", "xs", "--out", "file/below")
    assert tree(tmp_path) == {"file": b"mine"}


FULL_DISK = """
mount -t tmpfs -o size=256k tmpfs disk
cd disk
"$@" --width 4 --blocks 1,1,1,2 >/dev/null 2>&1
find . -type f -exec sha256sum {} + | sort >../before
head -c 300k /dev/zero >fill 2>/dev/null
"$@"
echo "exit code $?"
rm fill
find . -type f -exec sha256sum {} + | sort >../after
"""


def test_a_full_disk_leaves_the_old_files(tmp_path: Path) -> None:
    private = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a small disk of one's own takes a mount namespace, not permitted here")
    (tmp_path / "disk").mkdir()
    script = [*private, "/bin/sh", "-c", FULL_DISK, "sh"]
    result = program(*script, arguments=("build", "--variant", "xs"), folder=tmp_path)
    assert result.stdout == "exit code 1\n", result.stderr
    assert "No space left on device: free some space, or choose another place" in result.stderr
    before = (tmp_path / "before").read_text()
    assert before.count("prototxt") == 3
    assert (tmp_path / "after").read_text() == before
