"""Databases with some bytes changed: whatever reads them ends in an answer or one message."""

from __future__ import annotations

import os
import random
import shutil
import signal
from pathlib import Path

import click.testing
import lmdb
import numpy as np
import pytest
from support.once import Once

from data_prep.convert import convert
from data_prep.image_source import ImageSource, Item, Pixels
from data_prep.request import DataOptions
from netgen.caffe.apart import ProcessDiedError, run_apart
from netgen.caffe.database_cursor import DatabaseError, check_readable, read_apart
from netgen.caffe.databases import first_shape, image_fingerprints
from netgen.commands.cli import main

IMAGES, CLASSES, SIDE = 40, 4, 40  # an image fills pages of its own, as a photograph does
PAGE = 4096
HEADER = 16  # bytes at the start of a page, where it says what it is
SEEDS = range(8)
MUTATIONS = 12  # for each seed, by the commands, which read every database several times
READ_ONLY = 40  # for each seed, by the plainest reader


def pixels(name: str) -> Pixels:
    return np.random.default_rng(int(name)).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def made(folder: Path) -> Path:
    items = [Item(str(i), {"thing": i % CLASSES}) for i in range(IMAGES)]
    names = {"thing": tuple(f"class {i}" for i in range(CLASSES))}
    convert(
        ImageSource("some", names, lambda: iter(items), pixels, size=(SIDE, SIDE)),
        DataOptions(folder),
    )
    return folder


@pytest.fixture
def data(once: Once, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A whole dataset, to be damaged."""
    whole = once("to be mutated", lambda: made(tmp_path_factory.mktemp("mutated") / "data"))
    return Path(shutil.copytree(whole, tmp_path / "data"))


def mutate(file: Path, chance: random.Random) -> None:
    """Change two bytes; three of four times where the database's structure is."""
    content = bytearray(file.read_bytes())
    for _ in range(2):
        page = chance.randrange(len(content) // PAGE) * PAGE
        within = chance.choice((HEADER, HEADER + 16, 150, PAGE))
        content[page + chance.randrange(within)] = chance.randrange(256)
    file.write_bytes(content)


def read(data: Path) -> list[tuple[int, str]]:
    """Run the commands that read databases, and give how each ended and what it said."""
    runner = click.testing.CliRunner()
    commands = (("data", "verify", data), ("audit", "--deep", "--data", data))
    results = [runner.invoke(main, [*map(str, words)]) for words in commands]
    for result in results:
        assert isinstance(result.exception, SystemExit | None), result.exception
    return [(result.exit_code, result.output) for result in results]


@pytest.mark.parametrize("seed", SEEDS)
def test_changed_bytes_end_in_an_answer_or_one_message(data: Path, seed: int) -> None:
    chance = random.Random(seed)
    files = [*data.rglob("data.mdb")]
    assert len(files) == 4
    assert read(data)[0][0] == 0  # and the forks need not import it all
    for number in range(MUTATIONS):
        file = chance.choice(files)
        whole = file.read_bytes()
        mutate(file, chance)
        try:
            ended = run_apart(read, data)
        except ProcessDiedError as died:
            pytest.fail(f"mutation {number} of {file.relative_to(data)} ended a command: {died}")
        for status, said in ended:
            assert status in (0, 1), said
            assert said.count("Error: ") <= 1, said
            assert "Traceback" not in said
        file.write_bytes(whole)


@pytest.mark.parametrize("seed", SEEDS)
def test_changed_bytes_end_a_reader_in_an_answer_or_one_message(data: Path, seed: int) -> None:
    chance = random.Random(-seed - 1)
    database = data / "train" / "images.lmdb"
    whole = (database / "data.mdb").read_bytes()
    told: list[str] = []
    for _ in range(READ_ONLY):
        mutate(database / "data.mdb", chance)
        try:
            image_fingerprints(database)
        except DatabaseError as error:
            told.append(str(error))
        (database / "data.mdb").write_bytes(whole)
    assert told  # so the mutations reach what LMDB reads
    assert all(message.startswith(f"{database}: ") for message in told), told


def lost_page(database: Path) -> Path:
    """Let a database's last records be on pages that the file does not have."""
    file = database / "data.mdb"
    content = bytearray(file.read_bytes())
    for meta in (0, PAGE):  # the number of the last page is the meta page's second last field
        last = meta + HEADER + 24 + 2 * 48
        number = int.from_bytes(content[last : last + 8], "little")
        content[last : last + 8] = (number // 2).to_bytes(8, "little")
    file.write_bytes(content[: len(content) // 2 // PAGE * PAGE + PAGE])
    return database


def test_the_message_names_the_database_and_how_to_make_it_anew(data: Path) -> None:
    images = lost_page(data / "train" / "images.lmdb")
    with pytest.raises(DatabaseError, match=r"images\.lmdb: .*`netgen data`"):
        image_fingerprints(images)


def test_a_record_that_claims_two_gigabytes_is_told(data: Path) -> None:
    """Where it would end, nothing is mapped: the process that copies it ends by a signal."""
    database = data / "train" / "images.lmdb"
    content = bytearray((database / "data.mdb").read_bytes())
    with lmdb.open(str(database), readonly=True, lock=False) as opened, opened.begin() as reading:
        first = next(iter(reading.cursor().iternext(values=False)))
    at = content.index(first)  # before it come: the size's halves, the flags, the key's length
    assert content[at - 2 : at] == len(first).to_bytes(2, "little")
    content[at - 6 : at - 4] = (0x7FFF).to_bytes(2, "little")
    (database / "data.mdb").write_bytes(content)
    with pytest.raises(DatabaseError, match=r"images\.lmdb: a damaged LMDB .*SIG(BUS|SEGV)"):
        image_fingerprints(database)


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def test_a_reader_that_dies_is_told_from_one_that_was_killed_for_memory(data: Path) -> None:
    images = data / "train" / "images.lmdb"
    with pytest.raises(DatabaseError, match=f"{images}: a damaged LMDB .*SIGBUS.*netgen data"):
        read_apart([images], die, signal.SIGBUS)
    with pytest.raises(DatabaseError, match=f"{images}: .*out of memory"):
        read_apart([images], die, signal.SIGKILL)


def test_the_damaged_one_of_several_is_named(data: Path) -> None:
    databases = [data / "train" / name for name in ("images.lmdb", "label_thing.lmdb")]
    check_readable(databases)
    lost_page(databases[0])
    with pytest.raises(DatabaseError, match=r"^\S*images\.lmdb: "):
        check_readable(databases[::-1])


def test_what_a_reader_raises_reaches_its_caller(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no such folder"):
        first_shape(tmp_path / "none")
    with pytest.raises(ZeroDivisionError):
        read_apart([tmp_path], divmod, 1, 0)


def test_a_folder_without_a_database_is_told_as_that(data: Path) -> None:
    """LMDB says of the folder that it is not there."""
    (data / "train/images.lmdb/data.mdb").unlink()
    with pytest.raises(DatabaseError, match=r"images\.lmdb: not a readable LMDB \(no data\.mdb in"):
        check_readable([data / "train/images.lmdb"])
