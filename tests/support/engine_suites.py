"""Caffe's own tests: running them, and comparing what failed with the table of explained failures.

A suite is one file of tests that comes with Caffe's source: a C++ program of gtest, or a module of
pycaffe's tests. `docker/caffe/tests/build.sh` makes a folder of all that is needed here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from support.paths import ROOT, TESTS
from support.recipe import SOURCES

if sys.version_info >= (3, 11):
    import tomllib
else:  # Ubuntu 22.04's Python
    import tomli as tomllib

BUILD_TESTS = ROOT / "docker/caffe/tests/build.sh"
TABLE = TESTS / "engine_failures.toml"
WHOLE_SUITE = "*"  # in the table: the suite does not compile
# Of a user's own tree, the known source that is most like it.
LIKE = {"1.0": "debian", "2016": "pypi"}
# The suites of each type of layer that Table 2's networks have ...
LAYERS = {
    "Accuracy": ("test_accuracy_layer",),
    "BatchNorm": ("test_batch_norm_layer",),
    "Concat": ("test_concat_layer",),
    "Convolution": ("test_convolution_layer", "test_im2col_layer"),
    "Data": ("test_data_layer", "test_data_transformer"),
    "Dropout": ("test_neuron_layer", "test_maxpool_dropout_layers"),
    "Eltwise": ("test_eltwise_layer",),
    "InnerProduct": ("test_inner_product_layer",),
    "Input": ("test_net",),
    "LRN": ("test_lrn_layer",),
    "Pooling": ("test_pooling_layer",),
    "ReLU": ("test_neuron_layer",),
    "Scale": ("test_scale_layer", "test_bias_layer"),
    "Softmax": ("test_softmax_layer",),
    "SoftmaxWithLoss": ("test_softmax_with_loss_layer",),
}
# ... and of what connects and trains them.
CORE = (
    "test_blob", "test_filler", "test_gradient_based_solver", "test_layer_factory",
    "test_math_functions", "test_net", "test_solver", "test_split_layer",
)  # fmt: skip
TABLE_2_SUITES = sorted({*CORE, *(suite for suites in LAYERS.values() for suite in suites)})
STARTED = re.compile(r"^\[ RUN      \] (\S+)$")
ENDED = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] ([\w/]+\.\w+)(?:, where .*)? \(\d+ ms\)$")

# Those that compute on a GPU: for the third and fourth of the types that tests are compiled for,
# and those that have no other.
ON_GPU = "*/2.*:*/3.*:*GPU*:Im2colKernelTest/*"
BUILDS = ("cpu", "gpu")

State = Literal["passed", "failed", "crashed", "skipped", "not built"]
STATES: dict[str, State] = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}


@dataclass(frozen=True)
class Row:
    """A row of the table: a test that does not pass, in these sources and builds, and why.

    Of `sometimes`, what the test draws at random decides whether it passes.
    """

    suite: str
    test: str
    sources: tuple[str, ...]
    why: str
    builds: tuple[str, ...] = BUILDS
    sometimes: bool = False


def read_table(path: Path = TABLE) -> list[Row]:
    """Read the table of explained failures."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["failure"]
    return [
        Row(
            row["suite"],
            test,
            tuple(row["sources"]),
            row["why"],
            tuple(row.get("builds", BUILDS)),
            row.get("sometimes", False),
        )
        for row in rows
        for test in row["tests"]
    ]


@dataclass(frozen=True)
class Built:
    """A folder with built tests, and the source that they and the tested Caffe come from."""

    folder: Path

    @property
    def record(self) -> dict[str, str]:
        """What the tested Caffe was built from."""
        lines = (self.folder / "prefix/build.txt").read_text(encoding="utf-8").splitlines()
        return dict(line.split(": ", 1) for line in lines)

    @property
    def build(self) -> str:
        """One of `BUILDS`: what the tested Caffe was built for."""
        return "gpu" if "CUDA" in self.record["devices"] else "cpu"

    @property
    def is_known(self) -> bool:
        """Whether the source is one that the recipe knows, so that every row has to fit."""
        return self.record["source"] in SOURCES.values()

    @property
    def source(self) -> str:
        """The source's name in the table; of a user's own tree, the name of the one like it."""
        record = self.record
        named = {digest: name for name, digest in SOURCES.items()}
        return named.get(record["source"], LIKE[record["era"]])

    def suites(self) -> list[str]:
        """All suites that came with the source: those of C++, then those of pycaffe."""
        found = [*self.folder.glob("tree/src/caffe/test/test_*.cpp")]
        if self.build == "gpu":
            found += self.folder.glob("tree/src/caffe/test/test_*.cu")
        programs = sorted(file.stem for file in found if file.stem != "test_caffe_main")
        modules = sorted(file.name for file in self.folder.glob("tree/python/caffe/test/test_*.py"))
        return programs + modules


@dataclass
class Ran:
    """What the tests of one suite did."""

    suite: str
    states: dict[str, State] = field(default_factory=dict)
    output: str = ""
    late: bool = False  # it was ended; the test it was at has "crashed"

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return sum(state == "passed" for state in self.states.values())


def build(venv: Path, *targets: str, through: Sequence[str | Path] = ()) -> Built:
    """Build these programs, or all, for the Caffe that the environment chooses.

    `through` are the words of a command that runs another in an environment of its own.
    """
    subprocess.run([*through, BUILD_TESTS, venv, *targets], check=True)
    said = subprocess.run(
        [*through, BUILD_TESTS, "--folder", venv], stdout=subprocess.PIPE, text=True, check=True
    )
    return Built(Path(said.stdout.strip()))


def build_for_installed() -> Built:
    """Build what `./run test` runs, for the Caffe that is installed beside this Python."""
    built = build(Path(sys.prefix), *TABLE_2_SUITES, "check_gradients")
    installed = Path(sys.prefix, "bin/caffe").resolve().parents[1]
    tested = (built.folder / "prefix").resolve()
    assert tested == installed, (
        f"the installed Caffe is {installed}, and the environment asks for {tested}: "
        "set CAFFE_SOURCE as for ./run setup, or run ./run setup"
    )
    return built


# ---- running ------------------------------------------------------------------------------------


def run_suite(built: Built, suite: str, timeout: int = 900, only: str = "") -> Ran:
    """Run one suite. A test that ends the whole program has crashed; the rest are run after it.

    After `timeout` seconds the suite is ended, and what is left of it is not run.
    `only` is a pattern of gtest's for the tests of a program; modules of pycaffe's run whole.
    """
    command: list[str | Path] = [built.folder / "bin" / suite, "--gtest_color=no"]
    if suite.endswith(".py"):
        module = built.folder / "tree/python/caffe/test" / suite
        command = [sys.executable, TESTS / "support/pycaffe_suite.py", module]
    elif not (built.folder / "bin" / suite).exists():
        return Ran(suite, {WHOLE_SUITE: "not built"}, "it did not compile: see the build's log")
    ran = Ran(suite)
    with tempfile.TemporaryDirectory() as scratch:
        while True:
            seen = len(ran.states)
            sign = ":" if "-" in only else "-"  # after it, patterns of tests to leave out
            done = sign + ":".join(ran.states) if ran.states else ""
            chosen = [f"--gtest_filter={only}{done}"] if only or done else []
            status = run_once(built, [*command, *chosen], scratch, timeout, ran)
            if status == 0 or ran.late or "crashed" not in [*ran.states.values()][seen:]:
                break
    if status != 0 and all(state in ("passed", "skipped") for state in ran.states.values()):
        ran.states[WHOLE_SUITE] = "crashed"  # before its first test, or after its last
    return ran


def run_once(built: Built, command: list[str | Path], scratch: str, timeout: int, ran: Ran) -> int:
    """Run a suite's program one time; add what its tests did, and return its exit status."""
    environment = {
        "PYTHONPATH": str(built.folder / "prefix/python"),
        "OPENBLAS_NUM_THREADS": "1",
        "GLOG_logtostderr": "1",
        "GLOG_minloglevel": "2",  # errors
        "TMPDIR": scratch,
    }
    try:
        child = subprocess.run(
            command, cwd=built.folder / "tree", env=os.environ | environment, timeout=timeout,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        output, status = child.stdout, child.returncode
    except subprocess.TimeoutExpired as error:
        output, status, ran.late = error.stdout or b"", -1, True
    text = output.decode(errors="replace")
    ran.output += text
    ran.states.update(states_in(text))
    return status


def states_in(output: str) -> dict[str, State]:
    """Read what gtest printed. A test that began and did not end crashed."""
    states: dict[str, State] = {}
    for line in output.splitlines():
        if started := STARTED.match(line):
            states[started[1]] = "crashed"
        elif (ended := ENDED.match(line)) and ended[2] in states:
            states[ended[2]] = STATES[ended[1]]
    return states


# ---- judging ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What suites did, compared with the table."""

    run: int
    passed: int
    explained: int
    problems: list[str]


def judge(
    runs: Iterable[Ran], rows: Iterable[Row], source: str, *, every_row: bool, build: str = "cpu"
) -> Verdict:
    """Compare suites of a source, built for the CPU or also for GPUs, with the table.

    An unexplained failure is a problem. With `every_row`, so are a row for a test that passes (but
    of `sometimes`), and one for a test that its suite does not have.
    """
    runs, problems, explained = list(runs), [], 0
    table = {
        (row.suite, row.test): row for row in rows if source in row.sources and build in row.builds
    }
    for ran in runs:
        for test, state in ran.states.items():
            row = table.pop((ran.suite, test), None)
            if state == "passed" and row and not row.sometimes and every_row:
                problems.append(f"{ran.suite} {test} passes, but {TABLE.name} explains a failure")
            elif state != "passed" and row is None:
                problems.append(f"{ran.suite} {test}: {state}")
            elif state != "passed":
                explained += 1
    ran_suites = {ran.suite for ran in runs}
    if every_row:
        problems += [
            f"{suite} has no test {test}, which {TABLE.name} explains"
            for suite, test in table
            if suite in ran_suites
        ]
    run = sum(len(ran.states) for ran in runs)
    return Verdict(run, sum(ran.passed for ran in runs), explained, problems)
