"""Caffe's own tests of what Table 2 uses, on the software GPU: those that compute on a GPU.

`./run software-gpu` runs all that come with Caffe, also those for the CPU.
"""

from __future__ import annotations

import pytest
from support.engine_suites import ON_GPU, TABLE_2_SUITES, Built, judge, read_table, run_suite
from support.once import Once
from support.software_gpu import COMPLAINT, KERNEL_SUITE, software_gpu_tests

# Gradients through the N-d im2col, whose threads have a stack each: `./run software-gpu` has these.
SLOW = "*ForceND:*Gradient3D"
# Have nothing for a GPU.
WITHOUT = ("test_data_transformer", "test_filler")
SUITES = [suite for suite in (*TABLE_2_SUITES, KERNEL_SUITE) if suite not in WITHOUT]
# Take longest: once is enough. test_im2col_kernel has the kernels of the second in both orders.
ONE_ORDER = ("test_gradient_based_solver", "test_im2col_layer")


@pytest.fixture(scope="session")
def built(once: Once) -> Built:
    return once("software-gpu-tests", software_gpu_tests)


@pytest.mark.parametrize(
    ("suite", "order"),
    [(suite, "forward") for suite in SUITES]
    + [(suite, "reversed") for suite in SUITES if suite not in ONE_ORDER],
)
def test_what_caffe_itself_tests_of_it_on_a_gpu_passes(
    suite: str, order: str, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever thread of a kernel comes first; on two devices, where a test asks for them."""
    monkeypatch.setenv("SOFTWARE_GPU_ORDER", order)
    monkeypatch.setenv("SOFTWARE_GPUS", "2")
    ran = run_suite(built, suite, only=f"{ON_GPU}-{SLOW}")
    verdict = judge([ran], read_table(), built.source, every_row=False, build=built.build)
    assert verdict.run > 0
    assert not verdict.problems, ran.output[-4000:]
    assert COMPLAINT not in ran.output
