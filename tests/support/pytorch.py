"""Torch and torchvision for tests, or the reason why a test is skipped that needs them."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import pytest

from netgen.weights.incoming import torch_numbers

MISSING = (
    "no {} in this Python. Next: ./run test, which installs Debian's python3-torch and"
    " python3-torchvision, or says why it cannot"
)


class Torch(NamedTuple):
    """Torch, and what brings numbers there and back beside any NumPy."""

    torch: Any
    tensor: Any
    array: Any


def torch_or_skip() -> Torch:
    """Return torch; without it, skip the test, or the module whose head calls this."""
    pytest.importorskip("torch", reason=MISSING.format("torch"))
    torch = torch_numbers.load_torch("this test")
    to, back = torch_numbers.to_torch, torch_numbers.from_torch
    return Torch(torch, partial(to, torch), partial(back, torch))


def torchvision_or_skip() -> Any:
    """Return torchvision; without it, skip the test."""
    torch_or_skip()
    return pytest.importorskip("torchvision", reason=MISSING.format("torchvision"))
