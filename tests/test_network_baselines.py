"""The baselines as prototxt: names that published weights have, the papers' numbers, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from click.testing import CliRunner
from support.networks import ANY_CARD, BASELINES, dataset, layers, order, text

from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.caffe.schema import parse_net
from netgen.commands.cli import main
from netgen.cost.complexity import count
from netgen.network.build import NetKind, paper_prototxt
from netgen.network.dataset import MTVSO
from netgen.network.residual import Backbone
from netgen.paper import Recipe

IMAGE = {"data": (3, 224, 224)}
TRAINED = [name for name in BASELINES if name != "deepsentibank"]

# Elements of weights and biases in the published caffemodels, by layer.
CAFFENET = {
    "conv1": (34_848, 96), "conv2": (307_200, 256), "conv3": (884_736, 384),
    "conv4": (663_552, 384), "conv5": (442_368, 256),
    "fc6": (37_748_736, 4096), "fc7": (16_777_216, 4096),
}  # fmt: skip
VGG16 = {
    "conv1_1": (1_728, 64), "conv1_2": (36_864, 64),
    "conv2_1": (73_728, 128), "conv2_2": (147_456, 128),
    "conv3_1": (294_912, 256), "conv3_2": (589_824, 256), "conv3_3": (589_824, 256),
    "conv4_1": (1_179_648, 512), "conv4_2": (2_359_296, 512), "conv4_3": (2_359_296, 512),
    "conv5_1": (2_359_296, 512), "conv5_2": (2_359_296, 512), "conv5_3": (2_359_296, 512),
    "fc6": (102_760_448, 4096), "fc7": (16_777_216, 4096),
}  # fmt: skip
# GoogLeNet's Table 1, its column "params": 2.7K for conv1, and so on, in thousands.
MODULES = {"3a": 159, "3b": 380, "4a": 364, "4b": 437, "4c": 463, "4d": 580, "4e": 840,
           "5a": 1072, "5b": 1388}  # fmt: skip
BRANCHES = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")


@cache
def trained(name: str) -> list[LayerParameter]:
    return layers(paper_prototxt(name), "TRAIN")


def learning(name: str) -> Iterator[LayerParameter]:
    yield from (y for y in trained(name) if y.type in ("Convolution", "InnerProduct"))


def sizes(name: str) -> dict[str, tuple[int, ...]]:
    """Elements of each layer's blobs."""
    inputs = {} if name == "deepsentibank" else IMAGE
    found = count(parse_net(paper_prototxt(name)), "TRAIN", inputs=inputs).layers
    return {y.name: tuple(_product(blob) for blob in y.blobs) for y in found if y.blobs}


def _product(shape: tuple[int, ...]) -> int:
    result = 1
    for size in shape:
        result *= size
    return result


def shape_of(blob: str, prototxt: str) -> tuple[int, ...] | None:
    tops = [top for y in count(parse_net(prototxt), "TEST").layers for top in y.tops]
    return next(top.shape for top in tops if top.name == blob)


@pytest.mark.parametrize("task", ["noun", "adj", "anp"])
def test_every_layer_but_the_head_has_its_published_name_and_size(task: str) -> None:
    """Caffe copies weights by name, and refuses another size."""
    for name, published in (("caffenet", CAFFENET), ("vgg16", VGG16)):
        found = sizes(f"{name}-{task}")
        assert found.pop(f"fc_{task}")[0] == 4096 * MTVSO.task(task).classes
        assert found == published


def test_deepsentibank_has_the_names_of_its_caffemodel_head_included() -> None:
    assert sizes("deepsentibank") == CAFFENET | {"fc8-t": (4096 * 2089, 2089)}
    [softmax] = [y for y in trained("deepsentibank") if y.type == "Softmax"]
    assert (softmax.name, *softmax.bottom) == ("prob_anp", "fc_anp")


def test_inception_has_the_names_of_bvlcs_and_the_sizes_of_its_table() -> None:
    found = sizes("inception-v1-adj")
    for place, thousands in MODULES.items():
        weights = sum(found.pop(f"inception_{place}/{branch}")[0] for branch in BRANCHES)
        # The table's own column is off by up to 8%, in units of 1,024.
        assert weights / 1024 == pytest.approx(thousands, rel=0.08)
    auxiliary = {f"loss{n}/{part}" for n in (1, 2) for part in ("conv", "fc", "classifier_adj")}
    stem = {"conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3"}
    assert found.keys() == {*auxiliary, *stem, "fc_adj"}


def test_auxiliary_heads_train_and_are_left_out_of_test_and_deploy() -> None:
    train = trained("inception-v1-noun")
    losses = {y.name: list(y.loss_weight) for y in train if y.type == "SoftmaxWithLoss"}
    assert {name: [round(w, 6) for w in weights] for name, weights in losses.items()} == {
        "loss_noun": [], "loss1/loss_noun": [0.3], "loss2/loss_noun": [0.3],
    }  # fmt: skip
    kinds: tuple[NetKind, ...] = ("train_val", "deploy")
    for kind in kinds:
        others = layers(paper_prototxt("inception-v1-noun", kind), "TEST")
        assert not [y.name for y in others if y.name.startswith(("loss1", "loss2"))]


@pytest.mark.parametrize("name", TRAINED)
def test_biases_learn_twice_as_fast_and_do_not_decay(name: str) -> None:
    for layer in learning(name):
        rates = [(param.lr_mult, param.decay_mult) for param in layer.param]
        assert rates == [(1, 1), (2, 0)], layer.name


def test_dropout_is_as_published() -> None:
    ratios = {
        name: [round(y.dropout_param.dropout_ratio, 6) for y in trained(f"{name}-anp")
               if y.type == "Dropout"]
        for name in ("caffenet", "vgg16", "inception-v1")
    }  # fmt: skip
    assert ratios == {"caffenet": [0.5] * 2, "vgg16": [0.5] * 2, "inception-v1": [0.4, 0.7, 0.7]}


def test_normalisation_is_over_five_channels_and_not_in_vgg() -> None:
    for name, norms in (("caffenet", 2), ("inception-v1", 2), ("vgg16", 0)):
        found = [y.lrn_param for y in trained(f"{name}-noun") if y.type == "LRN"]
        assert len(found) == norms
        for param in found:
            shown = (param.local_size, round(param.alpha, 9), round(param.beta, 9))
            assert shown == (5, 1e-4, 0.75)


def test_only_caffenet_has_groups_in_its_2nd_4th_and_5th_convolution() -> None:
    groups = {
        y.name: y.convolution_param.group
        for name in TRAINED
        for y in learning(name)
        if y.convolution_param.group > 1
    }
    assert groups == {"conv2": 2, "conv4": 2, "conv5": 2}


@pytest.mark.parametrize("side", [224, 227])
def test_caffenet_leaves_6_x_6_of_images_of_224_and_of_its_own_227(side: int) -> None:
    prototxt = text(order("caffenet-item", dataset({"item": 10}, (3, side, side)), None), "deploy")
    assert shape_of("pool5", prototxt) == (1, 256, 6, 6)


def test_the_head_is_the_recipes() -> None:
    recipe = Recipe(memory=1e6, head_std=0.125, head_lr_mult=10)
    for name in ("caffenet", "inception-v1", "vgg16"):
        built = order(f"{name}-item", dataset({"item": 10}), Backbone(width=8), recipe)
        [head] = [y for y in layers(text(built, "train_val"), "TRAIN") if y.name == "fc_item"]
        assert [param.lr_mult for param in head.param] == [10, 20]
        assert head.inner_product_param.weight_filler.std == 0.125


@pytest.mark.parametrize("name", ["caffenet", "inception-v1", "vgg16"])
def test_width_scales_every_layer_but_the_head(name: str) -> None:
    data = dataset({"item": 10})
    built = [order(f"{name}-item", data, backbone, ANY_CARD) for backbone in (None, Backbone(48))]
    own, narrow = (
        [y for y in layers(text(each, "deploy")) if y.type in ("Convolution", "InnerProduct")]
        for each in built
    )
    first = own[0].convolution_param.num_output
    for wide, thin in zip(own[:-1], narrow[:-1], strict=True):
        outputs = [
            (y.convolution_param if y.type == "Convolution" else y.inner_product_param).num_output
            for y in (wide, thin)
        ]
        assert abs(outputs[1] - outputs[0] * 48 / first) <= 1
        assert outputs[1] % 2 == 0
    assert narrow[-1].inner_product_param.num_output == 10


def refusal(*words: object) -> str:
    result = CliRunner().invoke(main, ["build", *map(str, words)])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    return result.stderr


@pytest.mark.parametrize(
    ("variant", "options", "message"),
    [
        ("caffenet-noun", ("--blocks", "1,1,1,1"), "caffenet-noun is not made of residual blocks"),
        ("vgg16-adj", ("--stem", "small"), "--stem and a second number of --width are for ResNets"),
        ("inception-v1-anp", ("--frozen-statistics",), "inception-v1-anp has no batch norm"),
        ("caffenet-anp", ("--moving-average", "0.5"), "--moving-average are for ResNets"),
        ("deepsentibank", ("--width", "8"), "deepsentibank is not trained here"),
    ],
)
def test_an_option_that_does_not_apply_is_refused_with_the_reason(
    variant: str, options: tuple[str, ...], message: str
) -> None:
    assert message in refusal("--variant", variant, *options)


@pytest.mark.parametrize("name", ["caffenet", "inception-v1", "vgg16"])
def test_images_that_are_too_small_are_refused_in_words(name: str) -> None:
    with pytest.raises(ValueError, match=r"images are too small: \d+ x \d+ of them is left for"):
        text(order(f"{name}-item", dataset({"item": 10}, (1, 8, 8)), None), "deploy")


def test_deepsentibank_is_for_pairs_and_has_neither_solver_nor_training_net() -> None:
    result = CliRunner().invoke(main, ["list", "--json"])
    assert '"deepsentibank"' in result.stdout
    with pytest.raises(ValueError, match="unknown variant 'deepsentibank'"):
        order("deepsentibank", dataset({"item": 10}))
