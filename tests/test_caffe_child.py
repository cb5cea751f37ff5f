"""A function is called in a child process, and nothing that happens there harms the caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from support.paths import TESTS

from netgen.caffe.child import call, send
from netgen.caffe.engine import EngineError
from netgen.system.interrupts import handling


def add(one: int, other: int) -> int:
    return one + other


def count_to(last: int) -> str:
    for i in range(last):
        send(i)
    return "done"


def refuse(error: Exception) -> None:
    raise error


def wait(seconds: float) -> None:
    time.sleep(seconds)


def tf32() -> str:
    return os.environ["NVIDIA_TF32_OVERRIDE"]


def threads_of_blas() -> str:
    print("said aloud")
    return os.environ["OPENBLAS_NUM_THREADS"]


def read_a_net_that_no_caffe_knows(path: str) -> None:
    import caffe

    caffe.Net(path, caffe.TEST)


def kill_oneself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def note_and_wait(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def call_note_and_wait(path: str) -> None:
    call(note_and_wait, path, silence=60)


def test_the_answer_is_the_functions() -> None:
    assert call(add, 2, 3, silence=60) == 5


def test_messages_arrive_in_order() -> None:
    messages: list[int] = []
    assert call(count_to, 100, silence=60, on_message=messages.append) == "done"
    assert messages == list(range(100))


def test_a_signal_that_comes_twice_at_once_counts_once_and_again_a_second_later() -> None:
    heard: list[int] = []
    before = signal.getsignal(signal.SIGUSR1)
    with handling([signal.SIGUSR1], lambda number, _: heard.append(number)):
        for wait_before in (0, 0.01, 1.1):
            time.sleep(wait_before)
            os.kill(os.getpid(), signal.SIGUSR1)
    assert heard == [signal.SIGUSR1] * 2
    assert signal.getsignal(signal.SIGUSR1) is before


def import_what_is_not_there() -> None:
    import_module("caffe_that_is_not_there")


def test_what_cannot_be_imported_is_a_message_with_the_next_step() -> None:
    with pytest.raises(EngineError, match=r"caffe_that_is_not_there.*`\./run setup`"):
        call(import_what_is_not_there, silence=60)


@pytest.mark.parametrize("error", [ValueError("no such task"), FileNotFoundError(2, "no", "a")])
def test_what_it_raises_is_raised(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error).replace("[", r"\[")):
        call(refuse, error, silence=60)


def test_silence_ends_it() -> None:
    with pytest.raises(EngineError, match="did not answer for 3 seconds"):
        call(wait, 60, silence=3)


def test_variables_are_set_and_its_output_goes_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    answer = call(threads_of_blas, silence=60, log=log, environment={"OPENBLAS_NUM_THREADS": "1"})
    assert answer == "1"
    assert log.read_text() == "before\nsaid aloud\n"


def test_caffes_last_words_are_the_reason(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text('layer { name: "odd" type: "Odd" top: "odd" }')
    with pytest.raises(EngineError, match="Unknown layer type: Odd"):
        call(read_a_net_that_no_caffe_knows, str(net), silence=60)


def test_a_killed_child_is_told_from_an_aborted_one() -> None:
    with pytest.raises(EngineError, match="killed"):
        call(kill_oneself, silence=60)


def test_no_child_outlives_its_parent(tmp_path: Path) -> None:
    note = tmp_path / "child"
    program = f"import test_caffe_child; test_caffe_child.call_note_and_wait({str(note)!r})"
    with subprocess.Popen([sys.executable, "-c", program], cwd=TESTS) as parent:
        while not (note.exists() and note.read_text()):
            time.sleep(0.05)
        parent.kill()
    child = Path(f"/proc/{note.read_text()}")
    deadline = time.monotonic() + 10
    while child.exists() and " Z " not in (child / "stat").read_text():
        assert time.monotonic() < deadline, "the child is still there"
        time.sleep(0.05)


@pytest.mark.parametrize(("parent", "code"), [("os.getppid()", 0), ("os.getpid()", 1)])
def test_a_process_whose_parent_is_gone_already_ends(parent: str, code: int) -> None:
    """Told by the parent's id: in a container, netgen itself may be process 1."""
    program = f"import os; from netgen.caffe.child import die_with_parent as f; f({parent})"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == code


@pytest.mark.parametrize(("mine", "expected"), [(None, "0"), ("1", "1")])
def test_caffe_computes_in_float32_on_a_gpu_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, mine: str | None, expected: str
) -> None:
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    if mine is not None:
        monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", mine)
    assert call(tf32, silence=60) == expected
