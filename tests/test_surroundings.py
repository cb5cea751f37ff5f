"""Commands in bad surroundings: closed and full streams, other users' shells, small limits."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.caffe_child import ENVIRONMENT
from support.data import photographs
from support.paths import ROOT
from support.training import RECIPE, make_place

from netgen.training.journal import Journal

NETGEN = f"{sys.executable} -m netgen"


def usual() -> dict[str, str]:
    """The environment, without what would hide that output is kept back until its end."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, in which $NETGEN is netgen, as a user has it who sets nothing else."""
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, errors="replace",
        env=usual() | {"PYTHONPATH": str(ROOT), "NETGEN": NETGEN} | environment, timeout=300,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "words", ["list", "list --json", "count x.prototxt", "--help", "--version"]
)
@pytest.mark.parametrize(
    ("where", "why"),
    [
        (">/dev/full", "No space left on device: free some space, or choose another place;"),
        (">&-", "Bad file descriptor: it is closed: open it, as with `> FILE`"),
    ],
)
def test_what_standard_output_does_not_take_is_an_error_that_names_it(
    words: str, where: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "x.prototxt").write_text('layer { name: "data" type: "Input" top: "data" }')
    ended = shell(f"$NETGEN {words} {where}", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: standard output: {why}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("words", ["list", "--help", "--version", "list --nope 2>&1"])
def test_a_pipe_that_nobody_reads_ends_a_command_quietly(words: str, tmp_path: Path) -> None:
    ended = shell(f"$NETGEN {words} | true; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-"])
def test_messages_that_nobody_can_get_change_no_exit_status(where: str, tmp_path: Path) -> None:
    ended = shell(f"$NETGEN list {where} && $NETGEN list --nope {where}", tmp_path)
    assert ended.returncode == 2
    assert "xs" in ended.stdout
    assert "Usage" not in ended.stdout


def test_a_training_whose_output_is_read_no_more_stops_with_a_snapshot(tmp_path: Path) -> None:
    """As a terminal that closes stops it: what it had trained is kept."""
    place = make_place(tmp_path, replace(RECIPE, max_iter=1_000_000, snapshot=1_000_000))
    ended = shell(
        "$NETGEN train --variant xs --run run | grep -m 1 'iteration 5,'; exit ${PIPESTATUS[0]}",
        place.folder, **ENVIRONMENT,
    )  # fmt: skip
    assert ended.returncode == 129, ended.stderr
    assert "Error" not in ended.stderr
    last = place.journal("run")[-1]
    assert (last["event"], last["why"]) == ("end", "stopped")
    assert (tmp_path / f"run/snapshots/xs_iter_{last['iteration']}.json").exists()


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """Else what netgen and Caffe print would be written into a database that is open."""
    program = (
        "import sys; from netgen.system.streams import prepare_streams; prepare_streams();"
        " file = open('x', 'w'); print('printed', file=sys.stderr);"
        " print(file.fileno() > 2, repr(sys.stdin.read()), file=file)"
    )
    shell(f'{sys.executable} -c "{program}" <&- >&- 2>&-', tmp_path)
    assert (tmp_path / "x").read_text() == "True ''\n"


def test_messages_come_line_by_line_in_a_pipe_too(tmp_path: Path) -> None:
    """Else a line for each step would be seen at the end, and of what is killed none."""
    program = (
        "import sys; from netgen.system.streams import prepare_streams; prepare_streams();"
        " print('begun', file=sys.stderr); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdin=subprocess.PIPE,
        stderr=subprocess.PIPE, env=usual() | {"PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stderr
        is_there, _, _ = select.select([process.stderr], [], [], 100)
        process.stdin.close()
        assert is_there
        assert process.stderr.readline() == b"begun\n"


def test_paths_are_utf_8_in_a_locale_of_other_letters_too(tmp_path: Path) -> None:
    """Caffe knows no locale: it would look for the two letters that the bytes of é are there."""
    other = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = shell("$NETGEN build --variant xs --out é", tmp_path, **other)
    assert ended.returncode == 0, ended.stderr
    assert 'net: "é/models' in (tmp_path / "é/solvers/xs.prototxt").read_text(encoding="utf-8")


def test_pictures_need_no_screen_that_the_environment_names(tmp_path: Path) -> None:
    """As Jupyter names its own; matplotlib takes no name that it does not know."""
    draw = "$NETGEN figure architecture --variant xs --out xs.svg"
    ended = shell(draw, tmp_path, MPLBACKEND="nonsense")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "xs.svg").exists()


def test_a_removed_folder_is_told_of_where_a_file_in_it_is_written(tmp_path: Path) -> None:
    remove = 'mkdir gone && cd gone && rmdir "$PWD"'
    ended = shell(f"{remove} && $NETGEN build --variant xs", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == "Error: the current folder was removed: change to another one (cd)\n"


def test_a_limit_of_a_files_size_is_told_with_how_to_raise_it(tmp_path: Path) -> None:
    ended = shell("ulimit -f 8; $NETGEN build --variant xs --out .", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == (
        "Error: models/xs/train_val.prototxt: File too large: raise the limit (`ulimit -f`), or"
        " choose another place\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_small_file_that_a_limit_keeps_from_being_written_is_named_too(tmp_path: Path) -> None:
    """What a buffer holds back is written when the file is closed, and fails there."""
    pairs = (f"{adjective}_{noun}" for adjective in ("happy", "sad") for noun in range(1000, 1100))
    (tmp_path / "list.txt").write_text("\n".join(pairs))
    ended = shell("ulimit -f 1; $NETGEN data ontology list.txt --out out", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        "Error: out/mtvso_anplabels.txt: File too large: raise the limit"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kilobytes", [1, 40, 100, 200])
def test_a_limit_of_files_is_told_where_libraries_write_them(
    kilobytes: int, tmp_path: Path
) -> None:
    """SQLite, which keeps the ledger, and LMDB say only that writing failed."""
    photographs(tmp_path / "images", {"cat": 5, "dog": 5})
    made = f"ulimit -f {kilobytes}; $NETGEN data folder images --out out --size 128"
    ended = shell(made, tmp_path)
    assert ended.returncode == 1
    (error,) = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
    assert error.endswith(
        "/out: File too large: raise the limit (`ulimit -f`), or choose another place"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_a_lock_that_finds_no_room_is_named(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from netgen.training.run_folder import locked\n"
        "try:\n with locked(Path('lock')): pass\nexcept OSError as error: print(error)"
    )
    told = shell(f'ulimit -f 0; {sys.executable} -c "{program}"', tmp_path)
    assert told.stdout == "[Errno 27] File too large: 'lock'\n"


def test_a_journal_on_a_full_disk_is_named() -> None:
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        Journal(Path("/dev/full")).write("start", 0)
