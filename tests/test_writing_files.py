"""Files are written completely or not at all, by several at once, too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from netgen.system.files import write_all

WRITERS, ROUNDS = 4, 200


def test_several_that_write_into_a_folder_that_is_not_there_yet_all_succeed(tmp_path: Path) -> None:
    """As cells of a study do that begin together: each finds no folder, and one makes it."""
    together = Barrier(WRITERS)

    def write(number: int) -> None:
        for turn in range(ROUNDS):
            together.wait(60)
            write_all({tmp_path / f"{turn}/a/b/{number}.txt": f"{number}\n"})

    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(write, number) for number in range(WRITERS)]:
            done.result()
    assert len(list(tmp_path.glob("*/a/b/*.txt"))) == WRITERS * ROUNDS
    assert len(list(tmp_path.rglob("*.*"))) == WRITERS * ROUNDS


def test_a_file_where_a_folder_should_be_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine\n")
    with pytest.raises(OSError, match="Not a directory") as told:
        write_all({tmp_path / "new/one.txt": "1\n", tmp_path / "taken/two.txt": "2\n"})
    assert told.value.filename == str(tmp_path / "taken/two.txt")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]
