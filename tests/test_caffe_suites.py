"""Caffe's own tests of the layers that Table 2 uses; `./run engine-tests` runs all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.engine_suites import LAYERS, TABLE_2_SUITES, Built, judge, read_table, run_suite
from support.networks import VARIANTS
from support.paths import ROOT
from support.recipe import run

from netgen.caffe.schema import parse_net


@pytest.mark.parametrize("suite", TABLE_2_SUITES)
def test_what_caffe_itself_tests_of_it_passes_or_is_explained(
    suite: str, installed_tests: Built
) -> None:
    ran = run_suite(installed_tests, suite)
    verdict = judge([ran], read_table(), installed_tests.source, every_row=installed_tests.is_known)
    assert verdict.run > 0
    assert not verdict.problems, ran.output[-4000:]


def test_what_is_tested_is_the_library_that_users_train_with(installed_tests: Built) -> None:
    installed = Path(sys.prefix, "bin/caffe").resolve().parents[1] / "lib/libcaffe.so"
    for program in ("test_net", "check_gradients"):
        linked = run("ldd", installed_tests.folder / "bin" / program).stdout
        assert f"libcaffe.so => {installed} " in linked


def test_each_type_of_layer_of_table_2_is_tested() -> None:
    files = [file for name in VARIANTS for file in (ROOT / "models" / name).glob("*.prototxt")]
    nets = [parse_net(file.read_text(encoding="utf-8")) for file in files]
    assert {layer.type for net in nets for layer in net.layer} == LAYERS.keys()
