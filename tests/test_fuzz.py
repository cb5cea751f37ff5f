"""Whatever a file holds: an answer or one message, never a traceback, a signal or a hang.

`./run test` tries the same cases each time: whether a change may land does not hang on what is
drawn that day. `./run fuzz MINUTES` draws others, for as long as one likes; what failed is tried
first the next time.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from fuzz.mutation import changed
from fuzz.readers import READERS, Reader
from fuzz.sandbox import remember_the_paper, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CASES = 95  # of a reader of cost 1: 2,015 of all readers
# Of each reader, when minutes for all of them are given.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
SECONDS = 60 * float(os.environ.get("NETGEN_FUZZ_MINUTES", "0")) * WORKERS / len(READERS)


@pytest.fixture(scope="module")
def workplace(real_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this process's own with a real one of every file."""
    remember_the_paper(real_files)
    return Path(shutil.copytree(real_files, tmp_path_factory.mktemp("fuzz") / "all"))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork has one."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")


# Hypothesis warns that a large file that fails takes long to print: what it fails with matters.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.kind)
def test_a_file_with_anything_in_it_ends_in_an_answer_or_one_message(
    reader: Reader, workplace: Path
) -> None:
    file, out = workplace / reader.file, workplace / "out"
    whole, until = file.read_bytes(), time.monotonic() + SECONDS

    @settings(
        deadline=None,
        derandomize=SECONDS == 0,
        max_examples=max(1, CASES // reader.cost),
        suppress_health_check=list(HealthCheck),
    )
    @given(changed(whole) | st.binary(max_size=200))
    def ends_well(content: bytes) -> None:
        file.write_bytes(content)
        try:
            ended = run(reader.words, workplace, with_torch=reader.with_torch)
        finally:
            shutil.rmtree(out, ignore_errors=True)
        assert not ended.complaint, ended.complaint

    try:
        ends_well()
        while time.monotonic() < until:
            ends_well()
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.kind)
def test_the_real_file_is_read(reader: Reader, workplace: Path) -> None:
    """Else the cases above would show that a missing file is refused."""
    ended = run(reader.words, workplace, with_torch=reader.with_torch)
    shutil.rmtree(workplace / "out", ignore_errors=True)
    assert not ended.complaint
    assert "Error: " not in ended.said
