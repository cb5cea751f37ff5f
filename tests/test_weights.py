"""`netgen init`: what each layer starts from (section 5.2), and what it prints."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from support.caffe_child import in_caffe
from support.initial_weights import (
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
    make_source,
    netgen,
    refused,
    same,
    train_val,
    wanted,
)
from support.networks import NARROW

from netgen.caffe import caffemodel
from netgen.caffe.schema import read_net
from netgen.cost import complexity
from netgen.network.residual import Backbone

# ---- where layers come from (section 5.2) -------------------------------------------------------


@pytest.mark.parametrize("variant", ["resnet50-noun", "resnet50-anp", "x0", "x1", "xs"])
def test_every_layer_with_weights_is_in_the_file_in_its_shape(
    variant: str, source: Layers, tmp_path: Path
) -> None:
    ordered = build(tmp_path, variant)
    made = initial(variant)
    shapes = {name: [blob.shape for blob in layer.blobs] for name, layer in made.items()}
    assert shapes == wanted(deploy(ordered))


def test_a_training_s_folder_stands_for_its_newest_snapshot(source: Layers, tmp_path: Path) -> None:
    build(tmp_path, "xs")
    of_file = initial("xs")
    snapshots = tmp_path / "run/snapshots"
    snapshots.mkdir(parents=True)
    (snapshots / "a_iter_4.caffemodel").write_bytes(b"an older one")
    (snapshots / "a_iter_12.caffemodel").write_bytes(Path(SOURCE).read_bytes())
    assert init("--variant", "xs", "--from", "run", "--out", "again").exit_code == 0
    of_run = layers_of(Path("again"))
    assert of_run.keys() == of_file.keys()
    assert all(same(layer, of_file[name]) for name, layer in of_run.items())


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
    assert "Not used from the source: fc_noun, fc_adj, fc_anp." in result.stdout


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


# ---- what it tells ------------------------------------------------------------------------------


def test_the_table_counts_layers_and_parameters_a_stage(source: Layers, tmp_path: Path) -> None:
    ordered = build(tmp_path, "xs")
    lines = init("--variant", "xs", "--from", SOURCE).stdout.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    parameters = complexity.count(read_net(deploy(ordered)), "TEST").parameters
    assert rows["conv1"] == ["3", "-", "-", "-", f"{4 * 9 + 4 + 9 + 8}"]
    assert rows["all"] == ["47", "20", "to", "3", "tasks", "-", "15", f"{parameters:,}"]
    assert "Not used from the source: bn5a_branch1, scale5a_branch1, fc_noun." in lines


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
    assert caffemodel.HE_RESNET50 == "b7c79ccc21ad0479cddc0dd78b1d20c4d722908d"
    monkeypatch.setattr(caffemodel, "HE_RESNET50", digest[1])
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
