"""OpenBLAS's kernel on processors that it does not know."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from netgen.caffe.blas_kernel import OLDEST, VARIABLE, suited

SKYLAKE = {"avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"}


@pytest.mark.parametrize(
    ("abilities", "kernel"),
    [
        (SKYLAKE, "SkylakeX"),
        (SKYLAKE - {"avx512vl"}, "Haswell"),  # as on Knights Landing
        ({"avx", "sse4_2"}, None),
        (set(), None),
    ],
)
def test_the_kernel_is_the_fastest_that_the_processor_can_run(
    abilities: set[str], kernel: str | None
) -> None:
    assert suited(abilities) == kernel


SETTING = """
import json
from netgen.caffe import blas_kernel
blas_kernel._own_choice = lambda: {choice!r}
blas_kernel._abilities = lambda: {abilities!r}
print(json.dumps(blas_kernel.kernel_setting()))
"""


def setting(choice: str, **environment: str) -> dict[str, str]:
    """The setting on a processor of Skylake's abilities, for which OpenBLAS chooses so."""
    code = SETTING.format(choice=choice, abilities=SKYLAKE)
    clean = {name: value for name, value in os.environ.items() if name != VARIABLE}
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, str] = json.loads(told.stdout)
    return found


def test_a_kernel_is_chosen_only_where_openblas_does_not_know_the_processor() -> None:
    assert setting(OLDEST) == {VARIABLE: "SkylakeX"}
    assert setting("Zen") == {}
    assert setting("") == {}  # another BLAS
    assert setting(OLDEST, **{VARIABLE: "Nehalem"}) == {}  # somebody has chosen


def test_caffe_never_computes_as_on_a_processor_of_2004() -> None:
    """OpenBLAS says which kernel it has taken, in a process that netgen has started."""
    clean = {name: value for name, value in os.environ.items() if name != VARIABLE}
    told = subprocess.run(
        [sys.executable, "-m", "netgen", "doctor", "--json"],
        env=clean, capture_output=True, text=True, check=False,
    )  # fmt: skip
    findings = {row["about"]: row for row in json.loads(told.stdout)["findings"]}
    assert OLDEST not in findings["BLAS"]["what"]
    if findings["BLAS kernel"]["status"] != "ok":
        assert f"{VARIABLE}=" in findings["BLAS kernel"]["next_step"]
