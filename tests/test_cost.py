"""Counting networks: published numbers, parameters, unknown layers and absurd inputs."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import pytest
from support.cost import counted, layer, shapes
from support.prototxt import caffenet, conv, fc, googlenet, image, node, resnet50, vgg16

from netgen.caffe.schema import SchemaError

# ---- Published numbers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prototxt", "parameters", "giga_multiply_adds"),
    [
        (caffenet(), 60_965_224, 0.72),
        (vgg16(), 138_357_544, 15.47),
        (googlenet(), 6_998_552, 1.58),
        # 25,557,032 as elsewhere, conv1's bias, and BatchNorm's three blobs: 64 + 2 x 26,560 + 53.
        (resnet50(), 25_610_269, 3.86),
    ],
    ids=["CaffeNet", "VGG-16", "GoogLeNet", "ResNet-50"],
)
def test_known_networks_have_their_published_parameters_and_multiply_adds(
    prototxt: str, parameters: int, giga_multiply_adds: float
) -> None:
    cost = counted(prototxt)
    assert cost.parameters == parameters
    assert cost.multiply_adds_per_image / 1e9 == pytest.approx(giga_multiply_adds, abs=0.005)
    assert cost.complete
    assert not cost.notices


@pytest.mark.parametrize(
    ("prototxt", "parameters"),
    [(caffenet(224, 167), 57_552_423), (caffenet(224, 553), 59_133_865), (vgg16(117), 134_739_893)],
)
def test_table_2s_baselines_have_its_parameters(prototxt: str, parameters: int) -> None:
    assert counted(prototxt).parameters == parameters


def test_the_whole_net_of_a_batch_takes_a_batch_times_the_work() -> None:
    one, four = counted(resnet50(batch=1)), counted(resnet50(batch=4))
    assert four.multiply_adds == 4 * one.multiply_adds
    assert four.multiply_adds_per_image == one.multiply_adds
    assert four.parameters == one.parameters


def test_a_deconvolution_works_once_for_every_element_it_reads() -> None:
    numbers = "convolution_param { num_output: 5 kernel_size: 4 stride: 2 }"
    cost = counted(image(3, 2, 6, 7) + node("Deconvolution", "up", "data", params=numbers))
    assert layer(cost, "up").multiply_adds == 3 * (2 * 6 * 7) * (5 * 4 * 4)


# ---- Parameters ---------------------------------------------------------------------------------


def test_a_blob_that_layers_share_is_counted_once() -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    numbers = "inner_product_param { num_output: 8 }"
    cost = counted(
        image(2, 8)
        + node("InnerProduct", "first", "data", params=f"{shared} {numbers}")
        + node("InnerProduct", "second", "first", params=f"{shared} {numbers}")
    )
    assert cost.parameters == 8 * 8 + 8
    assert layer(cost, "second").parameters == 0
    assert layer(cost, "second").blobs == ((8, 8), (8,))


def test_what_is_not_learned_is_a_parameter_that_is_not_trainable() -> None:
    frozen = "param { lr_mult: 0 } param { lr_mult: 2 }"
    cost = counted(
        image(1, 3, 8, 8)
        + node(
            "Convolution",
            "c",
            "data",
            params=f"{frozen} convolution_param {{ num_output: 5 kernel_size: 3 }}",
        )
        + node("BatchNorm", "bn", "c", "c")
        + node("Scale", "scale", "c", "c", "scale_param { bias_term: true }")
    )
    assert cost.parameters == 5 * 27 + 5 + (5 + 5 + 1) + 10
    assert cost.trainable == 5 + 10


def test_layers_of_another_phase_are_not_counted() -> None:
    only = "include { phase: TRAIN } inner_product_param { num_output: 3 }"
    net = image(1, 4) + node("InnerProduct", "extra", "data", params=only)
    assert counted(net, "TRAIN").parameters == 15
    assert counted(net, "TEST").parameters == 0


# ---- What is not known --------------------------------------------------------------------------


def test_unknown_types_are_named_and_the_rest_is_counted() -> None:
    cost = counted(
        image(1, 3, 8, 8)
        + conv("before", "data", 4, 3)
        + node("Permute", "theirs", "before")
        + conv("after", "theirs", 4, 3)
        + conv("beside", "before", 2, 1)
    )
    assert not cost.complete
    (notice,) = cost.notices
    assert notice.startswith("unknown type 'Permute', 1 of it, first layer 'theirs': not counted")
    assert {entry.name: entry.known for entry in cost.layers} == {
        **{"data": True, "before": True, "theirs": False, "after": False, "beside": True}
    }
    assert shapes(cost)["after"] is None
    assert cost.parameters == (4 * 27 + 4) + (2 * 4 + 2)


def test_a_python_layer_is_unknown_and_not_an_error() -> None:
    cost = counted(node("Python", "data", tops="data label") + conv("c", "data", 4, 3))
    assert not cost.complete
    assert shapes(cost) == {"data": None, "label": None, "c": None}


# ---- Absurd inputs ------------------------------------------------------------------------------


def absurd() -> Iterable[str]:
    largest = 2**31 - 1
    yield image(1, 1, 1, largest) + conv("c", "data", largest, 1)
    yield node("DummyData", "d", params=f"dummy_data_param {{ shape {{ {'dim: 1 ' * 40} }} }}")
    yield image(1, 1, 4, 4) + node(
        "SPP", "s", "data", params="spp_param { pyramid_height: 4000000000 }"
    )
    yield image(1, 1, 4, 4) + node("Tile", "t", "data", params=f"tile_param {{ tiles: {largest} }}")
    yield image(0, 0) + fc("fc", "data", 2**32 - 1) + fc("fc2", "fc", 2**32 - 1)
    yield image(1, 3, -4, 4)
    yield image(1, 1, 4, 4) + conv("c", "data", 1, 1, axis=-(2**31))


@pytest.mark.parametrize("prototxt", list(absurd()))
def test_absurd_sizes_are_refused_at_once(prototxt: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SchemaError, match="layer '"):
            counted(prototxt)


def test_blobs_of_no_images_are_counted_as_nothing() -> None:
    cost = counted(resnet50(batch=0, size=64), "TRAIN")
    assert cost.multiply_adds == 0
    assert cost.parameters == 25_610_269


def test_ten_thousand_layers_in_a_ring_are_refused_in_seconds() -> None:
    ring = [node("ReLU", f"r{i}", f"r{i - 1}") for i in range(1, 10_000)]
    with pytest.raises(SchemaError, match="form a cycle") as caught:
        counted(node("ReLU", "r0", "r9999") + "".join(ring))
    assert len(str(caught.value)) < 1000
