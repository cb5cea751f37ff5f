"""Gradients of whole networks of Table 2, made small: finite differences in double precision."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engine_suites import Built
from support.network_gradients import CLASSES, NETWORKS, Checked, check, check_network, fed

# A step that crosses a kink says nothing of the gradient: few may.
MOST_KINKS = 0.02
# What BatchNorm takes away again: an offset of a whole channel before it.
WITHOUT_EFFECT = {"conv1 1"}
LEARNED = ("Convolution", "InnerProduct", "Scale")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_networks_gradients_are_its_losss_slopes(
    name: str, installed_tests: Built, tmp_path: Path
) -> None:
    checked = check_network(installed_tests, name, tmp_path)
    assert checked.wrong == {}
    assert checked.kinks < MOST_KINKS
    learned = {f"{layer.name} 0" for layer in fed(name).layer if layer.type in LEARNED}
    assert {"data", *learned} <= {*checked.blobs}
    flat = {blob for blob, of in checked.blobs.items() if of["gradient"] < 1e-5}
    assert flat <= WITHOUT_EFFECT, "a gradient of next to nothing is no evidence"
    assert normalised_by_the_batch(checked) == {
        layer.name for layer in fed(name).layer if layer.type == "BatchNorm"
    }


def normalised_by_the_batch(checked: Checked) -> set[str]:
    """The BatchNorms that do as in training: their averages of the past were never used."""
    return {
        name
        for name, told in checked.batchnorms.items()
        if told["mean"] < 1e-9 and 0.9 < told["deviation"] <= 1
    }


@pytest.mark.parametrize(
    ("variant", "layer", "bottom"),
    [
        ("xs", "cross5b_adj_noun", 0),  # a cross connection
        ("x1", "res5b_noun", 0),  # a shortcut
    ],
)
def test_a_gradient_that_is_left_out_is_found(
    variant: str, layer: str, bottom: int, installed_tests: Built, tmp_path: Path
) -> None:
    net = fed(variant)
    (broken,) = (one for one in net.layer if one.name == layer)
    broken.propagate_down.extend(index != bottom for index in range(len(broken.bottom)))
    checked = check(installed_tests, net, CLASSES, tmp_path)
    assert checked.wrong
    assert "fc_noun 0" not in checked.wrong, "the last layer's gradient is right"
