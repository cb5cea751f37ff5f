"""The memory of a network: against what Caffe holds, and rule by rule."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

import pytest
from support.caffe_child import in_caffe
from support.cost import counted, resident
from support.paths import ZOO
from support.prototxt import conv, fc, image, node, normalised, pool, resnet50

from netgen.caffe.schema import parse_net
from netgen.cost.complexity import count
from netgen.cost.memory import PROGRAM_BYTES


def towers(batch: int) -> str:
    """A little of everything that keeps memory, trained from constant data: no files."""
    filler = 'type: "gaussian" std: 1'
    source = f"""
      layer {{
        name: "data" type: "DummyData" top: "data" top: "label"
        dummy_data_param {{
          shape {{ dim: {batch} dim: 3 dim: 96 dim: 96 }} shape {{ dim: {batch} }}
          data_filler {{ {filler} }} data_filler {{ type: "constant" value: 1 }}
        }}
      }}"""
    body = normalised("conv1", "data", 48, 7, stride=2, pad=3) + node(
        "ReLU", "r1", "conv1", "conv1"
    )
    body += pool("pool1", "conv1", 3, 2) + node("LRN", "norm1", "pool1")
    body += normalised("a", "norm1", 48, 3, pad=1) + normalised("b", "a", 48, 1)
    body += node("Scale", "cross", "pool1") + node("Eltwise", "sum", "b pool1 cross")
    body += node("PReLU", "prelu", "sum", "sum") + node("Concat", "cat", "sum norm1")
    body += node("Dropout", "drop", "cat", "cat") + node(
        "Eltwise", "max", "sum b", params="eltwise_param { operation: MAX }"
    )
    body += pool("pool2", "cat", 2, 2, "AVE") + node("Flatten", "flat", "pool2")
    body += fc("fc1", "flat", 1024) + fc("fc2", "max", 8)
    losses = node("SoftmaxWithLoss", "loss1", "fc1 label") + node(
        "SoftmaxWithLoss", "loss2", "fc2 label"
    )
    xavier = 'weight_filler { type: "xavier" }'
    return source + re.sub(r"num_output: \d+", rf"\g<0> {xavier}", body) + losses


@pytest.mark.parametrize("batch", [4, 24])
def test_memory_is_what_caffe_holds(batch: int, tmp_path: Path) -> None:
    cost = counted(towers(batch), "TRAIN")
    measured = in_caffe(resident, towers(batch), str(tmp_path)).value[0]
    assert cost.memory.total == pytest.approx(measured, rel=0.1)


def test_memory_at_another_batch_is_what_a_network_of_that_batch_holds() -> None:
    few, many = counted(towers(4), "TRAIN").memory, counted(towers(24), "TRAIN").memory
    assert few.at(24) == many.total
    assert many.at(4) == few.total
    assert few.per_image == many.per_image


def test_a_test_network_shares_its_parameters_with_the_training_network() -> None:
    net = (
        resnet50(batch=2, size=64)
        + image(2, name="label")
        + node("SoftmaxWithLoss", "l", "fc label")
    )
    train, test = counted(net, "TRAIN"), counted(net, "TEST")
    assert train.memory.fixed - test.memory.fixed > 2 * 4 * train.parameters
    assert test.memory.total - test.memory.added_to(train.memory).total == 4 * test.parameters
    assert test.memory.total < train.memory.total / 2


def test_the_papers_network_takes_what_was_measured() -> None:
    from netgen.network.build import paper_prototxt

    net = parse_net(paper_prototxt("xs", "train_val").replace("batch_size: 3", "batch_size: 23"))
    size = {"data": (3, 224, 224)}
    train, test = count(net, "TRAIN", inputs=size), count(net, "TEST", inputs=size)
    gib = 2**30
    both = train.memory.total + test.memory.added_to(train.memory).total
    # Measured of `caffe train`: 9.2 GiB; 9.99 with a test network at 3; 13.8 at 23.
    assert (train.memory.total + PROGRAM_BYTES) / gib == pytest.approx(9.2, rel=0.03)
    assert (both + PROGRAM_BYTES) / gib == pytest.approx(13.8, rel=0.03)
    with_3 = train.memory.total + test.memory.added_to(train.memory).at(3)
    assert (with_3 + PROGRAM_BYTES) / gib == pytest.approx(9.99, rel=0.01)


def test_in_place_and_shared_blobs_are_one_activation() -> None:
    net = image(2, 3, 4, 4)
    alone = counted(net).activation_bytes
    assert alone == 4 * prod((2, 3, 4, 4))
    shared = net + node("ReLU", "r", "data", "data") + node("Flatten", "flat", "data")
    assert counted(shared).activation_bytes == alone
    assert counted(net + node("ReLU", "r", "data")).activation_bytes == 2 * alone


def test_a_networks_activations_are_those_of_its_layers() -> None:
    for cost in (counted(ZOO.read_text()), counted(ZOO.read_text(), "TRAIN")):
        assert sum(each.activation_bytes for each in cost.layers) == cost.activation_bytes > 0


def test_what_no_loss_depends_on_has_no_gradient() -> None:
    net = image(2, 3, 32, 32) + conv("a", "data", 8, 3) + conv("b", "a", 8, 3)
    without = counted(net, "TRAIN").memory.batched
    loss = node("Reduction", "sum", "b", params="loss_weight: 1")
    sizes = [2 * 8 * 30 * 30, 2 * 8 * 28 * 28]
    assert counted(net + loss, "TRAIN").memory.batched - without == 4 * sum(sizes)


def test_a_blob_read_twice_has_a_gradient_a_reader_and_its_own() -> None:
    def batched(*readers: str) -> int:
        net = image(2, 3, 32, 32) + conv("a", "data", 8, 3)
        return counted(net + "".join(readers), "TRAIN").memory.batched

    size, loss = 4 * 2 * 8 * 30 * 30, "loss_weight: 1"
    once = batched(node("Reduction", "s", "a", params=loss))
    twice = batched(*(node("Reduction", name, "a", params=loss) for name in "st"))
    assert twice - once == 2 * size
    # The objective itself is a reader.
    weighted = conv("b", "a", 8, 1) + node("Reduction", "s", "b", params=loss)
    in_objective = weighted.replace('top: "b"', f'top: "b" {loss}')
    assert batched(in_objective) - batched(weighted) == 2 * size
