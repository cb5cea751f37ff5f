"""He's ResNet-50 in every residual network: names, Table 1's sizes and convolutions."""

from __future__ import annotations

import pytest
from support.layers import PAIRS, SINGLE, TASKS, built, of_type
from support.networks import MULTITASK, RESIDUAL

from netgen.caffe.caffe_pb2 import PoolingParameter
from netgen.caffe.schema import parse_net
from netgen.cost.complexity import count
from netgen.network.build import paper_prototxt


def he_block(place: str, tail: str = "") -> list[tuple[str, str]]:
    """Names and types of one of He's blocks, in his order, with `tail` after each name."""
    branches = ["branch2a", "branch2b", "branch2c"]
    if place.endswith("a"):
        branches.insert(0, "branch1")
    found = []
    for branch in branches:
        found += [
            (f"res{place}_{branch}", "Convolution"),
            (f"bn{place}_{branch}", "BatchNorm"),
            (f"scale{place}_{branch}", "Scale"),
        ]
        if branch in ("branch2a", "branch2b"):
            found.append((f"res{place}_{branch}_relu", "ReLU"))
    found += [(f"res{place}", "Eltwise"), (f"res{place}_relu", "ReLU")]
    return [(name + tail, kind) for name, kind in found]


BLOCKS = {2: "abc", 3: "abcd", 4: "abcdef", 5: "abc"}
PLACES = [f"{stage}{letter}" for stage, letters in BLOCKS.items() for letter in letters]
HE_STEM = [
    ("conv1", "Convolution"),
    ("bn_conv1", "BatchNorm"),
    ("scale_conv1", "Scale"),
    ("conv1_relu", "ReLU"),
    ("pool1", "Pooling"),
]


@pytest.mark.parametrize("variant", SINGLE)
def test_the_single_task_network_is_hes_by_name_type_and_order(variant: str) -> None:
    """Caffe copies weights by name, so a name that differs is a layer that starts from nothing."""
    task = variant.removeprefix("resnet50-")
    assert [(layer.name, layer.type) for layer in built(variant, "deploy")] == [
        ("data", "Input"),
        *HE_STEM,
        *(layer for place in PLACES for layer in he_block(place)),
        ("pool5", "Pooling"),
        (f"fc_{task}", "InnerProduct"),
        (f"prob_{task}", "Softmax"),
    ]


@pytest.mark.parametrize("variant", MULTITASK)
def test_a_multitask_network_is_hes_up_to_res5a_then_once_a_task(variant: str) -> None:
    moved = {f"{half}5a_{branch}" for half in ("bn", "scale") for branch in ("branch1", "branch2c")}
    moved.add("res5a_relu")
    trunk = [place for place in PLACES if place <= "5a"]
    shared = [*HE_STEM, *(layer for place in trunk for layer in he_block(place))]
    own = [
        layer
        for task in TASKS
        for layer in (
            *((f"bn5a_{task}", "BatchNorm"), (f"scale5a_{task}", "Scale")),
            (f"res5a_relu_{task}", "ReLU"),
            *he_block("5b", f"_{task}"),
            *he_block("5c", f"_{task}"),
            *((f"pool5_{task}", "Pooling"), (f"fc_{task}", "InnerProduct")),
            (f"prob_{task}", "Softmax"),
        )
    ]
    cross = [(f"cross{place}_{j}_{t}", "Scale") for place in ("5b", "5c") for j, t in PAIRS]
    found = [(layer.name, layer.type) for layer in built(variant, "deploy")[1:]]
    assert sorted(found) == sorted(
        [layer for layer in shared if layer[0] not in moved]
        + own
        + (cross if variant == "xs" else [])
    )
    assert found[: len(shared) - 5] == [layer for layer in shared if layer[0] not in moved]


@pytest.mark.parametrize("variant", RESIDUAL)
def test_stages_have_the_output_sizes_and_channels_of_table_1(variant: str) -> None:
    net = parse_net(paper_prototxt(variant, "deploy"))
    shapes = {top.name: top.shape for layer in count(net, "TEST").layers for top in layer.tops}
    tail = "_anp" if "res5c_anp" in shapes else ""
    assert {
        blob: shapes[blob]
        for blob in ("conv1", "pool1", "res2c", "res3d", "res4f", f"res5c{tail}", f"pool5{tail}")
    } == {
        "conv1": (1, 64, 112, 112),  # Table 1 prints 60 filters; He's weights have 64
        "pool1": (1, 64, 56, 56),
        "res2c": (1, 256, 56, 56),
        "res3d": (1, 512, 28, 28),
        "res4f": (1, 1024, 14, 14),
        f"res5c{tail}": (1, 2048, 7, 7),
        f"pool5{tail}": (1, 2048, 1, 1),
    }


@pytest.mark.parametrize("variant", RESIDUAL)
def test_convolutions_are_those_of_table_1(variant: str) -> None:
    for layer in of_type("Convolution", built(variant)):
        param = layer.convolution_param
        shape = (param.num_output, *param.kernel_size, *param.stride, *param.pad, param.bias_term)
        if layer.name == "conv1":
            assert shape == (64, 7, 2, 3, True)
            continue
        place, branch = layer.name.removeprefix("res").split("_")[:2]
        width = 64 * 2 ** (int(place[0]) - 2)
        stride = 2 if place in ("3a", "4a", "5a") else 1
        assert (
            shape
            == {
                "branch1": (4 * width, 1, stride, 0, False),
                "branch2a": (width, 1, stride, 0, False),
                "branch2b": (width, 3, 1, 1, False),
                "branch2c": (4 * width, 1, 1, 0, False),
            }[branch]
        )


@pytest.mark.parametrize("variant", RESIDUAL)
def test_projections_are_four_and_every_other_shortcut_is_identity(variant: str) -> None:
    """Section 5.2: "B option" shortcuts."""
    projections = [layer for layer in built(variant) if layer.name.endswith("_branch1")]
    projections = of_type("Convolution", projections)
    assert [layer.name for layer in projections] == [f"res{n}a_branch1" for n in (2, 3, 4, 5)]
    for layer in of_type("Eltwise", built(variant)):
        block, _, task = layer.name.partition("_")
        place, tail = block.removeprefix("res"), f"_{task}" if task else ""
        before = f"res{place[0]}{chr(ord(place[1]) - 1)}{tail}"
        shortcut = f"{block}_branch1" if place.endswith("a") else before
        assert list(layer.bottom)[:2] == [shortcut, f"{block}_branch2c{tail}"]


@pytest.mark.parametrize("variant", RESIDUAL)
def test_pools_are_those_of_table_1(variant: str) -> None:
    first, *last = of_type("Pooling", built(variant))
    assert (first.pooling_param.pool, first.pooling_param.kernel_size) == (PoolingParameter.MAX, 3)
    assert (first.pooling_param.stride, first.pooling_param.pad) == (2, 0)
    for layer in last:
        assert (layer.pooling_param.pool, layer.pooling_param.kernel_size) == (
            PoolingParameter.AVE,
            7,
        )
