"""Runs one module of pycaffe's own tests, and prints what its tests do as gtest would.

python pycaffe_suite.py MODULE [--gtest_filter=-TEST:TEST...]

A program of its own, because a failed CHECK of Caffe ends the process.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
import unittest
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

Error: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
)


class Printed(unittest.TestResult):
    """Prints a line when a test starts, and one when it ends."""

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802  (unittest's name)
        super().startTest(test)
        self.state = "      OK"
        print(f"[ RUN      ] {name_of(test)}", flush=True)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().stopTest(test)
        print(f"[ {self.state} ] {name_of(test)} (0 ms)", flush=True)

    def addError(self, test: unittest.TestCase, err: Error) -> None:  # noqa: N802
        self.failed(err)

    def addFailure(self, test: unittest.TestCase, err: Error) -> None:  # noqa: N802
        self.failed(err)

    def addSubTest(  # noqa: N802
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: Error | None
    ) -> None:
        if err is not None:
            self.failed(err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        self.state = "SKIPPED "
        print(reason)

    def failed(self, error: Error) -> None:
        self.state = " FAILED "
        traceback.print_exception(*error, file=sys.stdout)


def name_of(test: unittest.TestCase) -> str:
    return f"{type(test).__name__}.{test.id().rpartition('.')[2]}"


def tests_in(suite: unittest.TestSuite) -> list[unittest.TestCase]:
    """All tests of a suite of suites."""
    found: list[unittest.TestCase] = []
    for part in suite:
        found += tests_in(part) if isinstance(part, unittest.TestSuite) else [part]
    return found


def main() -> None:
    """Run the module named on the command line, but for the tests that are left out."""
    path = Path(sys.argv[1])
    left_out = [name for word in sys.argv[2:] for name in word.partition("=-")[2].split(":")]
    warnings.simplefilter("ignore")
    case: Any = unittest.TestCase
    if not hasattr(case, "assertEquals"):  # Python 3.12 dropped the old name
        case.assertEquals = case.assertEqual
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where a net finds the Python layers of the tests
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    result = Printed()
    for test in tests_in(unittest.defaultTestLoader.loadTestsFromModule(module)):
        if name_of(test) not in left_out:
            test.run(result)


if __name__ == "__main__":
    main()
