"""The recipe's loops for the CPU, each against the loop of Caffe that it replaces."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.kernels import CHECKS
from support.paths import ROOT


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("check", CHECKS)
def test_a_layer_of_any_shape_computes_what_caffes_own_loop_computes(
    check: str, threads: int
) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "support.kernels", check],
        cwd=ROOT / "tests",
        env=os.environ | {"OPENBLAS_NUM_THREADS": f"{threads}", "OMP_NUM_THREADS": f"{threads}",
                          "GLOG_minloglevel": "2"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
