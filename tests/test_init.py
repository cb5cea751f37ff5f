"""`netgen init`: what each layer starts from, proved by what real Caffe makes of the file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caffe_child import ENVIRONMENT, in_caffe
from conftest import Once
from helpers import ANY_CARD, NARROW, dataset, make_databases
from init_helpers import (
    GREY,
    SOURCE,
    TASKS,
    Layers,
    build,
    deploy,
    init,
    layers_of,
    make_random,
    make_source,
    narrow_source,
    netgen,
    pools,
    real_images,
    refused,
    same,
    train_val,
)

from netgen.caffe.schema import read_net
from netgen.cost import complexity
from netgen.network.options import (
    Branch,
    BranchStage,
    Crossed,
    CrossForm,
    CrossStart,
    MovedNorm,
    SelfWeight,
    Sharing,
    Towers,
)
from netgen.network.residual import RESNET50, Backbone
from netgen.paper import Recipe
from netgen.weights import source as sources

INITIAL = "models/{}/initial.caffemodel"


@pytest.fixture
def source(once: Once, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layers:
    """A ResNet-50, narrow, as training might leave it; the current folder has its file."""
    monkeypatch.chdir(tmp_path)
    return narrow_source(once, tmp_path)


def initial(variant: str, *options: object) -> Layers:
    """The layers that `netgen init` writes for a variant in the current folder."""
    init("--variant", variant, "--from", SOURCE, *options)
    return layers_of(Path(INITIAL.format(variant)))


def wanted(net: str) -> dict[str, list[tuple[int, ...]]]:
    """Every layer with blobs of a network, and their shapes."""
    counted = complexity.count(read_net(net), "TEST").layers
    return {layer.name: list(layer.blobs) for layer in counted if layer.blobs}


# ---- where layers come from (section 5.2) -------------------------------------------------------


@pytest.mark.parametrize("variant", ["resnet50-noun", "resnet50-anp", "x0", "x1", "xs"])
def test_every_layer_with_weights_is_in_the_file_in_its_shape(
    variant: str, source: Layers, tmp_path: Path
) -> None:
    ordered = build(tmp_path, variant)
    made = initial(variant)
    shapes = {name: [blob.shape for blob in layer.blobs] for name, layer in made.items()}
    assert shapes == wanted(deploy(ordered))


@pytest.mark.parametrize("variant", ["x0", "x1", "xs"])
def test_a_task_s_layers_start_from_the_same_layer_for_every_task(
    variant: str, source: Layers, tmp_path: Path
) -> None:
    build(tmp_path, variant)
    made = initial(variant)
    own = [name for name in made if re.search(r"5[bc]_branch.*_noun$", name)]
    assert len(own) == 2 * 9
    for name in own:
        base = name.removesuffix("_noun")
        assert all(same(made[f"{base}_{task}"], source[base]) for task in TASKS), name


def test_shared_layers_are_copied_bit_for_bit(source: Layers, tmp_path: Path) -> None:
    build(tmp_path, "xs")
    made = initial("xs")
    shared = [name for name in made if not name.endswith(tuple(f"_{task}" for task in TASKS))]
    assert len(shared) == 3 + 4 * 12 - 4  # the stem, and four blocks less res5a's normalisations
    assert all(same(made[name], source[name]) for name in shared)


def test_cross_weights_and_classifiers_start_from_their_fillers(
    source: Layers, tmp_path: Path
) -> None:
    wider = Backbone(16, NARROW.blocks, NARROW.stem)
    build(tmp_path, "xs", backbone=wider)
    make_source(tmp_path, wider)
    made = initial("xs")
    crosses = [layer.blobs[0] for name, layer in made.items() if name.startswith("cross")]
    assert len(crosses) == 2 * 6
    values = np.array(crosses)
    # Section 5.2: sqrt(2 / n), n the average of 1 and the number of channels.
    assert values.std() == pytest.approx(np.sqrt(2 / ((1 + 512) / 2)), rel=0.04)
    assert abs(values.mean()) < 0.005
    assert len(np.unique(values)) > 0.99 * values.size
    for task, classes in TASKS.items():
        weights, bias = made[f"fc_{task}"].blobs
        assert weights.shape == (classes, 512)
        assert weights.std() == pytest.approx(0.01, rel=0.1)
        assert not bias.any()


def test_the_same_seed_gives_the_same_file_and_another_other_fresh_layers(
    source: Layers, tmp_path: Path
) -> None:
    build(tmp_path, "xs")
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        init("--variant", "xs", "--from", SOURCE, "--out", name, "--seed", seed)
    assert Path("a").read_bytes() == Path("b").read_bytes()
    a, c = layers_of(Path("a")), layers_of(Path("c"))
    other = {name for name in a if not same(a[name], c[name])}
    assert other == {name for name in a if name.startswith(("cross", "fc_"))}


def test_a_snapshot_of_another_of_our_networks_fits_too(source: Layers, tmp_path: Path) -> None:
    ordered = build(tmp_path, "x0")
    build(tmp_path, "xs")
    in_caffe(make_random, deploy(ordered), "trained", folder=tmp_path)
    trained = layers_of(tmp_path / "trained")
    result = init("--variant", "xs", "--from", "trained")
    made = layers_of(Path(INITIAL.format("xs")))
    fresh = {name for name in made if name.startswith(("cross", "fc_"))}
    assert all(same(made[name], trained[name]) for name in made.keys() - fresh)
    assert "Left over in the source: fc_noun, fc_adj, fc_anp." in result.stdout


def test_classifiers_are_new_unless_they_are_to_be_kept(source: Layers, tmp_path: Path) -> None:
    build(tmp_path, "xs", {"noun": 5, "adj": 3})
    assert not same(initial("xs")["fc_noun"], source["fc_noun"])
    assert same(initial("xs", "--force", "--keep-heads")["fc_noun"], source["fc_noun"])
    build(tmp_path, "xs", {"noun": 6, "adj": 3})  # other classes under the same name
    assert initial("xs", "--force", "--keep-heads")["fc_noun"].blobs[0].shape[0] == 6


def test_a_layer_can_be_named_to_start_anew(source: Layers, tmp_path: Path) -> None:
    build(tmp_path, "xs")
    made = initial("xs", "--fresh", "*5c_branch2c_*", "--fresh", "conv1")
    assert not same(made["conv1"], source["conv1"])
    assert not made["scale5c_branch2c_adj"].blobs[1].any()
    assert same(made["scale5c_branch2b_adj"], source["scale5c_branch2b"])
    assert "no layer with weights is called 'conv2': did you mean conv1" in refused(
        "--variant", "xs", "--from", SOURCE, "--force", "--fresh", "conv2"
    )


# ---- the moved normalisation --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "branch"),
    [((), "branch2c"), (("--moved-norm", "branch1"), "branch1")],
    ids=["ours", "branch1"],
)
def test_the_moved_normalisation_starts_from_the_last_one_or_as_said(
    option: tuple[str, ...], branch: str, source: Layers, tmp_path: Path
) -> None:
    build(tmp_path, "x0")
    made = initial("x0", *option)
    for task in TASKS:
        assert same(made[f"bn5a_{task}"], source[f"bn5a_{branch}"])
        assert same(made[f"scale5a_{task}"], source[f"scale5a_{branch}"])


def test_a_fresh_moved_normalisation_has_no_averages_yet(source: Layers, tmp_path: Path) -> None:
    build(tmp_path, "x0")
    made = initial("x0", "--moved-norm", "fresh")
    assert not any(blob.any() for blob in made["bn5a_noun"].blobs)
    assert (made["scale5a_noun"].blobs[0] == 1).all()


@pytest.mark.parametrize(
    "reading",
    [
        {},
        {"moved_norm": MovedNorm.LAST},
        {"branch": Branch.BEFORE_RES5A},
        {"branch_stage": BranchStage.AFTER_RES4A},
        {"moved_norm": MovedNorm.NOTHING},
    ],
    ids=["both", "last", "before-res5a", "after-res4a", "nothing"],
)
def test_folded_each_task_s_pool5_is_the_source_s(
    reading: dict[str, Any], source: Layers, tmp_path: Path
) -> None:
    ordered = build(tmp_path, "x0", **reading)
    init("--variant", "x0", "--from", SOURCE, "--moved-norm", "fold")
    pretrained = build(tmp_path / "pretrained", "resnet50-noun", {"noun": 5})
    images = real_images(16, GREY)
    compare_pools(
        str(tmp_path / "pretrained" / deploy(pretrained)), deploy(ordered), images, tmp_path
    )


def compare_pools(pretrained: str, net: str, images: np.ndarray, folder: Path) -> None:
    """Check that every task's pool5 is that of the source network."""
    pairs = [(pretrained, SOURCE), (net, INITIAL.format("x0"))]
    before, after = in_caffe(pools, pairs, images, folder=folder).value
    expected = before["pool5"]
    assert expected.std() > 0.1  # not dead
    assert abs(expected[0] - expected[1]).max() > 1e-3  # images matter
    assert after.keys() == {f"pool5_{task}" for task in TASKS}
    for values in after.values():
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-4)


def test_folded_at_full_size_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    size = (3, 224, 224)
    make_source(tmp_path, RESNET50, size=size)
    ordered = build(tmp_path, "x0", size=size, backbone=RESNET50)
    init("--variant", "x0", "--from", SOURCE, "--moved-norm", "fold")
    pretrained = str(tmp_path / "pretrained/models/resnet50-noun/deploy.prototxt")
    compare_pools(pretrained, deploy(ordered), real_images(2, size), tmp_path)
    for file in tmp_path.rglob("*.caffemodel"):  # 270 MB
        file.unlink()


@pytest.mark.parametrize("half", [MovedNorm.BOTH_SCALES, MovedNorm.LAST_BATCHNORM])
def test_half_a_normalisation_cannot_be_folded_but_copied(
    half: MovedNorm, source: Layers, tmp_path: Path
) -> None:
    build(tmp_path, "x0", moved_norm=half)
    message = refused("--variant", "x0", "--from", SOURCE, "--moved-norm", "fold")
    assert "only a half of the normalisation has moved" in message
    assert "choose --moved-norm branch2c" in message
    kind = "scale" if "Scale" in half.layers else "bn"
    assert same(initial("x0")[f"{kind}5a_noun"], source[f"{kind}5a_branch2c"])


def test_one_cross_weight_a_source_is_fresh_as_well(source: Layers, tmp_path: Path) -> None:
    build(tmp_path, "xs", sharing=Sharing.PER_SOURCE)
    crosses = [name for name in initial("xs") if name.startswith("cross")]
    assert crosses == [f"cross5{block}_{task}" for block in "bc" for task in ("adj", "anp", "noun")]


def test_what_is_beyond_the_paper_starts_from_its_filler_and_the_rest_from_the_source(
    source: Layers, tmp_path: Path
) -> None:
    build(
        tmp_path,
        "xs",
        branch_stage=BranchStage.AFTER_RES4A,
        crossed=Crossed.ALL_BLOCKS,
        cross_form=CrossForm.CONVOLUTION,
        cross_start=CrossStart.ZERO,
        self_weight=SelfWeight.LEARNED,
        towers=Towers.FROZEN,
    )
    made = initial("xs")
    crosses = [layer.blobs[0] for name, layer in made.items() if name.startswith("cross")]
    selves = [layer.blobs[0] for name, layer in made.items() if name.startswith("self")]
    channels = 32 * NARROW.width
    assert {blob.shape for blob in crosses} == {(channels, channels, 1, 1)}
    assert not np.any(crosses)
    assert np.array_equal(selves, np.ones((3 * 3, channels)))
    for task in TASKS:
        assert same(made[f"res5a_branch1_{task}"], source["res5a_branch1"])
        assert same(made[f"bn4a_{task}"], source["bn4a_branch2c"])


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
            num, channels, height, width = (*[1] * (4 - blob.ndim), *blob.shape)
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
    assert "Left over in the source: fc8." in result.stdout
    assert result.stderr.splitlines()[-1].split() == [
        "caffe", "train", "-solver", "SOLVER", "-weights", str(tmp_path / "out")
    ]  # fmt: skip


# ---- what it tells ------------------------------------------------------------------------------


def test_the_table_counts_layers_and_parameters_a_stage(source: Layers, tmp_path: Path) -> None:
    ordered = build(tmp_path, "xs")
    lines = init("--variant", "xs", "--from", SOURCE).stdout.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    parameters = complexity.count(read_net(deploy(ordered)), "TEST").parameters
    assert rows["conv1"] == ["3", "-", "-", "-", f"{4 * 9 + 4 + 9 + 8}"]
    assert rows["all"] == ["47", "20", "to", "3", "tasks", "-", "15", f"{parameters:,}"]
    assert "Left over in the source: bn5a_branch1, scale5a_branch1, fc_noun." in lines


def test_every_layer_is_told_on_request_and_as_json(source: Layers, tmp_path: Path) -> None:
    build(tmp_path, "xs")
    table = init("--variant", "xs", "--from", SOURCE, "--layers", "--moved-norm", "fold").stdout
    row = next(line for line in table.splitlines() if line.startswith("res5a_branch1 "))
    words = ["res5a_branch1", "Convolution", "128x64x1x1", "folded"]
    assert row.split() == [*words, "res5a_branch1,", "bn5a_branch1,", "scale5a_branch1"]
    told = json.loads(init("--variant", "xs", "--from", SOURCE, "--force", "--json").stdout)
    made = layers_of(Path(INITIAL.format("xs")))
    assert [layer["name"] for layer in told["layers"]] == list(made)
    starts = {layer["name"]: (layer["start"], layer["from"]) for layer in told["layers"]}
    assert starts["res5b_branch2a_adj"] == ("cloned", ["res5b_branch2a"])
    assert starts["cross5b_adj_noun"] == ("fresh", [])
    assert told["left_over"] == ["bn5a_branch1", "scale5a_branch1", "fc_noun"]


def test_the_file_that_he_published_is_told_from_others(
    source: Layers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, "x0")
    other = init("--variant", "x0", "--from", SOURCE).stdout
    digest = re.search(r"sha1 ([0-9a-f]{40}), not the ResNet-50 that He published", other)
    assert digest
    assert sources.HE_RESNET50 == "b7c79ccc21ad0479cddc0dd78b1d20c4d722908d"
    monkeypatch.setattr(sources, "HE_RESNET50", digest[1])
    hes = init("--variant", "x0", "--from", SOURCE, "--force").stdout
    assert f"sha1 {digest[1]}, the ResNet-50 that He published" in hes


def test_a_network_elsewhere_is_trained_by_its_own_solver(source: Layers, tmp_path: Path) -> None:
    net = train_val(build(tmp_path / "a folder", "x0"))
    said = init("--net", f"a folder/{net}", "--from", SOURCE).stderr
    words = "--solver 'a folder/solvers/x0.prototxt' --weights 'a folder/models/x0/initial.caffe"
    assert f"netgen train {words}" in said
    assert f"caffe train -{words[2:].replace(' --', ' -')}" in said


def test_help_is_there_without_caffe_or_files() -> None:
    assert "section 5.2" in netgen("init", "--help").stdout
