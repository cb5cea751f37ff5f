"""Caffe loads every blob that `netgen init` writes, for any network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.caffe_child import ENVIRONMENT, in_caffe
from support.initial_weights import (
    GREY,
    INITIAL,
    SOURCE,
    TASKS,
    Layers,
    build,
    deploy,
    init,
    initial,
    layers_of,
    make_random,
    same,
)
from support.networks import ANY_CARD, dataset, make_databases

from netgen.paper import Recipe

# ---- Caffe loads it, nothing missing ------------------------------------------------------------


def blobs_of(net: str, weights: str) -> dict[str, list[np.ndarray]]:
    """In Caffe: a network's blobs after loading weights."""
    import caffe

    made = caffe.Net(net, caffe.TEST)
    made.copy_from(weights)
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in made.params.items()}


def test_pycaffe_loads_every_blob(source: Layers, tmp_path: Path) -> None:
    ordered = build(tmp_path, "xs")
    made = initial("xs")
    answer = in_caffe(blobs_of, deploy(ordered), INITIAL.format("xs"), folder=tmp_path)
    assert answer.complaints == []
    assert answer.value.keys() == made.keys()
    for name, blobs in answer.value.items():
        for found, written in zip(blobs, made[name].blobs, strict=True):
            np.testing.assert_array_equal(found, written, err_msg=name)


@pytest.mark.parametrize("variant", ["resnet50-noun", "xs"])
def test_caffe_train_starts_from_every_blob(variant: str, source: Layers, tmp_path: Path) -> None:
    # With a rate of 0 and frozen averages, what a snapshot has is what the training started from.
    still = Recipe(
        batch_size=4, base_lr=0, max_iter=1, test_interval=9, snapshot=9, frozen_statistics=True,
        memory=ANY_CARD.memory,
    )  # fmt: skip
    ordered = build(tmp_path, variant, recipe=still)
    make_databases(dataset(TASKS, GREY), tmp_path)
    result = init("--variant", variant, "--from", SOURCE)
    assert f"netgen train --variant {variant} --weights {INITIAL.format(variant)}" in result.stderr
    caffe, *words = result.stderr.splitlines()[-1].split()  # the command that it says is next
    assert words == ["train", "-solver", str(ordered.solver), "-weights", INITIAL.format(variant)]
    program = Path(sys.executable).parent / caffe
    subprocess.run([program, *words], env=ENVIRONMENT, check=True, capture_output=True, timeout=120)
    made = layers_of(Path(INITIAL.format(variant)))
    after = layers_of(ordered.folder / "snapshots" / f"{variant}_iter_1.caffemodel")
    assert after.keys() == made.keys()
    assert [name for name in made if not same(made[name], after[name])] == []


# ---- any network --------------------------------------------------------------------------------


CAFFENET = """
name: "small CaffeNet"
layer {{
  name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 2 dim: 1 dim: 9 dim: 9 }} }}
}}
layer {{ name: "label" type: "Input" top: "label" input_param {{ shape {{ dim: 2 }} }} }}
layer {{
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "xavier" }} }}
}}
layer {{
  name: "fc7" type: "InnerProduct" bottom: "conv1" top: "fc7"
  inner_product_param {{ num_output: 6 weight_filler {{ type: "xavier" }} }}
}}
layer {{
  name: "aux" type: "InnerProduct" bottom: "conv1" top: "aux" include {{ phase: TRAIN }}
  inner_product_param {{ num_output: 3 weight_filler {{ type: "gaussian" std: 1 }} }}
}}
layer {{
  name: "aux_loss" type: "SoftmaxWithLoss" bottom: "aux" bottom: "label" top: "aux_loss"
  include {{ phase: TRAIN }}
}}
layer {{
  name: "{head}" type: "InnerProduct" bottom: "fc7" top: "{head}"
  inner_product_param {{ num_output: 3 weight_filler {{ type: "gaussian" std: 1 }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "{head}" bottom: "label" top: "loss" }}
"""


def old_style(path: Path, layers: Layers) -> Path:
    """Write layers as Caffe of 2014 did: numbered types, four axes a blob."""
    from netgen.caffe.caffe_pb2 import NetParameter, V1LayerParameter

    types = {
        "Convolution": V1LayerParameter.CONVOLUTION,
        "InnerProduct": V1LayerParameter.INNER_PRODUCT,
    }
    net = NetParameter(name="of 2014")
    for layer in layers.values():
        made = net.layers.add(name=layer.name, type=types[layer.type])
        for blob in layer.blobs:
            num, channels, height, width = [1] * (4 - blob.ndim) + list(blob.shape)
            made.blobs.add(
                num=num, channels=channels, height=height, width=width, data=blob.ravel()
            )
    path.write_bytes(net.SerializeToString())
    return path


def test_any_network_starts_from_weights_of_2014(tmp_path: Path) -> None:
    published, ours = tmp_path / "published.prototxt", tmp_path / "net.prototxt"
    published.write_text(CAFFENET.format(head="fc8"))
    ours.write_text(CAFFENET.format(head="fc8_mine"))
    in_caffe(make_random, str(published), str(tmp_path / "new"))
    trained = layers_of(tmp_path / "new")
    old = old_style(tmp_path / "old", trained)
    result = init("--net", ours, "--from", old, "--out", tmp_path / "out")
    made = layers_of(tmp_path / "out")
    assert list(made) == ["conv1", "fc7", "aux", "fc8_mine"]
    assert same(made["conv1"], trained["conv1"])
    assert same(made["fc7"], trained["fc7"])
    assert made["fc8_mine"].blobs[0].std() > 0.5  # as its filler says
    assert made["aux"].blobs[0].shape == (3, 196)
    assert "Not used from the source: fc8." in result.stdout
    assert result.stderr.splitlines()[-1].split() == [
        "caffe", "train", "-solver", "SOLVER", "-weights", str(tmp_path / "out")
    ]  # fmt: skip
