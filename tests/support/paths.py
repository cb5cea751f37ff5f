"""Where the tests, the repository and the data shared beside it are."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
SHARED = ROOT.parent / "shared"  # the paper and its authors' lists, where there are any
ZOO = TESTS / "zoo.prototxt"  # every layer type that is counted
