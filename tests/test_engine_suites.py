"""The runner of Caffe's own tests: what it reads from them, and what it does not let pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.engine_suites import BUILDS, WHOLE_SUITE, Built, Ran, Row, judge, read_table, run_suite
from support.recipe import VENV, run, write_program

OUTPUT = """\
[==========] Running 3 tests from 2 test cases.
[ RUN      ] NetTest/0.TestBottomNeedBackward
[       OK ] NetTest/0.TestBottomNeedBackward (1 ms)
[ RUN      ] NetTest/1.TestLossWeight
src/caffe/test/test_net.cpp:900: Failure
[  FAILED  ] NetTest/1.TestLossWeight, where TypeParam = caffe::CPUDevice<double> (12 ms)
[ RUN      ] Other.TestLast
[       OK ] Other.TestLast (0 ms)
[==========] 3 tests from 2 test cases ran. (13 ms total)
[  FAILED  ] 1 test, listed below:
[  FAILED  ] NetTest/1.TestLossWeight, where TypeParam = caffe::CPUDevice<double>
"""
# Ends in the middle of its second test, unless that one is left out.
CRASHING = """
echo "[ RUN      ] T.First"; echo "[       OK ] T.First (1 ms)"
echo "[ RUN      ] T.Second"; kill -ABRT $$
"""
AFTER_IT = """
if [[ "$*" == *--gtest_filter=-T.First:T.Second* ]]; then
  echo "[ RUN      ] T.Third"; echo "[       OK ] T.Third (1 ms)"; exit 0
fi
"""
PYCAFFES = """
import os, unittest


class Shapes(unittest.TestCase):
    def test_right(self):
        self.assertEquals(1, 1)

    def test_wrong(self):
        self.fail("as expected")

    def test_wrong_in_part(self):
        with self.subTest():
            self.fail()

    @unittest.skip("no such layer")
    def test_without_a_layer(self):
        pass

    def test_aborting(self):
        os.abort()
"""
EXPLAINED = Row("test_net", "NetTest/1.TestLossWeight", ("debian",), "a reason")


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A folder of tests that has none yet."""
    for folder in ("bin", "tree/src/caffe/test", "tree/python/caffe/test", "prefix"):
        (tmp_path / folder).mkdir(parents=True)
    return Built(tmp_path)


def suite(built: Built, body: str) -> Ran:
    """Run a program that takes the place of a suite."""
    write_program(built.folder / "bin/test_net", body)
    return run_suite(built, "test_net")


def test_each_test_of_a_program_of_gtest_is_read_with_what_it_did(built: Built) -> None:
    ran = suite(built, f"cat <<'OUTPUT'\n{OUTPUT}OUTPUT\nexit 1")
    assert ran.states == {
        "NetTest/0.TestBottomNeedBackward": "passed",
        "NetTest/1.TestLossWeight": "failed",
        "Other.TestLast": "passed",
    }


def test_only_the_tests_asked_for_are_run_also_after_a_crash(built: Built) -> None:
    body = AFTER_IT.replace("=-T", "='T.*'-T") + CRASHING
    write_program(built.folder / "bin/test_net", body)
    ran = run_suite(built, "test_net", only="T.*")
    assert ran.states == {"T.First": "passed", "T.Second": "crashed", "T.Third": "passed"}


def test_after_a_test_that_crashes_the_others_are_run(built: Built) -> None:
    ran = suite(built, AFTER_IT + CRASHING)
    assert ran.states == {"T.First": "passed", "T.Second": "crashed", "T.Third": "passed"}


@pytest.mark.parametrize("body", ["exit 1", "echo cannot load libcaffe.so >&2; exit 127"])
def test_a_program_that_fails_without_a_failing_test_has_failed(built: Built, body: str) -> None:
    assert suite(built, body).states == {WHOLE_SUITE: "crashed"}


def test_a_suite_that_was_not_built_has_failed(built: Built) -> None:
    assert run_suite(built, "test_net").states == {WHOLE_SUITE: "not built"}


def test_pycaffes_tests_are_read_like_the_others(built: Built) -> None:
    (built.folder / "tree/python/caffe/test/test_shapes.py").write_text(PYCAFFES)
    ran = run_suite(built, "test_shapes.py")
    assert ran.states == {
        "Shapes.test_aborting": "crashed",
        "Shapes.test_right": "passed",
        "Shapes.test_without_a_layer": "skipped",
        "Shapes.test_wrong": "failed",
        "Shapes.test_wrong_in_part": "failed",
    }
    assert "as expected" in ran.output


# ---- building -----------------------------------------------------------------------------------


def recipe_says(checkout: Path, script: str, what: str) -> str:
    result = run(checkout / "docker/caffe" / script, what, VENV)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("name", "is_new"),
    [
        ("tests.cmake", True),
        ("pictures.py", True),
        ("build.sh", True),
        ("check_gradients.cpp", False),
    ],
)
def test_changing_how_tests_are_built_builds_them_again_but_not_caffe(
    checkout: Path, name: str, is_new: bool
) -> None:
    before = recipe_says(checkout, "tests/build.sh", "--folder")
    caffe = recipe_says(checkout, "build.sh", "--prefix")
    with (checkout / "docker/caffe/tests" / name).open("a") as file:
        file.write("\n")
    assert (recipe_says(checkout, "tests/build.sh", "--folder") != before) == is_new
    assert recipe_says(checkout, "build.sh", "--prefix") == caffe


# ---- the table ----------------------------------------------------------------------------------


def problems(
    states: dict[str, str], *rows: Row, source: str = "debian", build: str = "cpu"
) -> list[str]:
    ran = Ran("test_net", {**states})  # type: ignore[dict-item]
    return judge([ran], rows, source, every_row=True, build=build).problems


@pytest.mark.parametrize("state", ["failed", "crashed", "skipped"])
def test_what_does_not_pass_has_to_be_explained(state: str) -> None:
    states = {"NetTest/1.TestLossWeight": state}
    assert problems(states) == [f"test_net NetTest/1.TestLossWeight: {state}"]
    assert problems(states, EXPLAINED) == []
    assert problems(states, EXPLAINED, source="pypi") == [
        f"test_net NetTest/1.TestLossWeight: {state}"
    ]


def test_an_explanation_for_one_build_explains_nothing_of_another() -> None:
    states = {"NetTest/1.TestLossWeight": "failed"}
    row = replace(EXPLAINED, builds=("cpu",))
    assert problems(states, row) == []
    assert problems(states, row, build="gpu") == ["test_net NetTest/1.TestLossWeight: failed"]
    passing = {"NetTest/1.TestLossWeight": "passed"}
    assert problems(passing, row, build="gpu") == []


def test_an_explanation_of_what_passes_is_an_error() -> None:
    assert problems({"NetTest/1.TestLossWeight": "passed"}, EXPLAINED) == [
        "test_net NetTest/1.TestLossWeight passes, but engine_failures.toml explains a failure"
    ]


@pytest.mark.parametrize("state", ["passed", "failed"])
def test_what_fails_only_sometimes_may_do_both(state: str) -> None:
    row = replace(EXPLAINED, sometimes=True)
    assert problems({"NetTest/1.TestLossWeight": state}, row) == []


def test_an_explanation_of_a_test_that_does_not_exist_is_an_error() -> None:
    assert problems({"NetTest/0.TestLossWeight": "passed"}, EXPLAINED) == [
        "test_net has no test NetTest/1.TestLossWeight, which engine_failures.toml explains"
    ]


def test_a_suite_that_was_not_run_needs_no_explanation() -> None:
    assert judge([], [EXPLAINED], "debian", every_row=True).problems == []


def test_every_row_of_the_table_says_where_and_why() -> None:
    rows = read_table()
    assert len({(row.suite, row.test, source) for row in rows for source in row.sources}) == sum(
        len(row.sources) for row in rows
    )
    for row in rows:
        assert row.sources
        assert set(row.sources) <= {"debian", "pypi"}
        assert row.builds
        assert set(row.builds) <= set(BUILDS)
        assert len(row.why) > 20
