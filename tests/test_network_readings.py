"""Readings that counts hardly tell apart: what each builds, computes and is audited as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from support.beyond import CLASSES, DATA, DEEPER, built
from support.caffe_child import Answer, in_caffe
from support.initial_weights import (
    SOURCE,
    Layers,
    build,
    deploy,
    init,
    layers_of,
    make_random,
    narrow_source,
    refused,
    same,
    save,
)
from support.layers import named, of_type
from support.networks import ANY_CARD, dataset, make_databases, order, text
from support.networks_in_caffe import agree, in_opencv, run_each
from support.once import Once
from support.paths import ROOT

from netgen import paper
from netgen.audit.readings import readings
from netgen.caffe import caffemodel
from netgen.commands.cli import main
from netgen.network.build import network_files
from netgen.network.options import (
    READINGS,
    Choice,
    Conv1,
    Conv1Bias,
    CrossFiller,
    CrossStart,
    MovedNorm,
    ProjectionReLU,
    Stride,
)
from netgen.network.residual import Backbone, Stem
from netgen.network.variants import find
from netgen.paper import Recipe
from netgen.system.files import write_all

NEW: dict[str, dict[str, Any]] = {
    "ours": {},
    "cross-filler=channels": {"cross_filler": CrossFiller.CHANNELS},
    "projection-relu=yes": {"projection_relu": ProjectionReLU.YES},
    "stride=in-3x3": {"stride": Stride.IN_3X3},
    "conv1=sixty": {"conv1": Conv1.SIXTY},
    "conv1-bias=no": {"conv1_bias": Conv1Bias.NO},
    "all of them": {
        "cross_filler": CrossFiller.CHANNELS,
        "projection_relu": ProjectionReLU.YES,
        "stride": Stride.IN_3X3,
        "conv1": Conv1.SIXTY,
        "conv1_bias": Conv1Bias.NO,
    },
}
TASKS = list(paper.TASKS)


def test_whatever_fits_the_counts_can_be_built_as_a_reading() -> None:
    steps = {step for read in readings() if read.fits for step in read.answer.made.split(" + ")}
    names = {step.partition("=")[0] for step in steps if step}
    assert names == READINGS.keys()


# ---- what is built ------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["resnet50-noun", "x0", "x1", "xs"])
def test_every_projection_ends_in_a_relu_where_the_text_is_read_so(variant: str) -> None:
    ours, read = built(variant), built(variant, projection_relu=ProjectionReLU.YES)
    convolutions = of_type("Convolution", read)
    projections = [layer.name for layer in convolutions if layer.name.endswith("_branch1")]
    assert len(projections) == 4
    for name in projections:
        assert [y.type for y in read if name in y.top][-1] == "ReLU"
        assert "ReLU" not in [y.type for y in ours if name in y.top]
    added = {y.name for y in read} - {y.name for y in ours}
    assert added == {f"{name}_relu" for name in projections}


def test_a_relu_stays_on_a_projection_whose_normalisation_has_moved() -> None:
    for moved in MovedNorm:
        found = built(moved_norm=moved, projection_relu=ProjectionReLU.YES)
        made = [y.type for y in found if "res5a_branch1" in y.top]
        kept = [] if "branch1" in moved.branches else ["BatchNorm", "Scale"]
        stay = [kind for kind in ("BatchNorm", "Scale") if kind not in moved.layers]
        assert made == ["Convolution", *(kept or stay), "ReLU"], moved


def test_the_stride_moves_within_a_block_and_no_size_changes() -> None:
    ours, read = built(), built(stride=Stride.IN_3X3)

    def strides(found: list[Any]) -> dict[str, int]:
        return {y.name: (*y.convolution_param.stride, 1)[0] for y in of_type("Convolution", found)}

    before, after = strides(ours), strides(read)
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert changed == {
        **{f"res{stage}a_branch2a": (2, 1) for stage in (3, 4, 5)},
        **{f"res{stage}a_branch2b": (1, 2) for stage in (3, 4, 5)},
    }


def test_cross_weights_of_another_start_are_where_they_start_at_random() -> None:
    for start, kind in ((CrossStart.RANDOM, "msra"), (CrossStart.ZERO, "constant")):
        found = built(cross_filler=CrossFiller.CHANNELS, cross_start=start)
        fillers = [y.scale_param.filler for y in found if y.name.startswith("cross")]
        assert {filler.type for filler in fillers} == {kind}


# ---- in real Caffe ------------------------------------------------------------------------------


WIDER = Backbone(width=16, blocks=(1, 1, 1, 3), stem=Stem.SMALL)
ITERATIONS = 2


def train(solvers: dict[str, str]) -> dict[str, Any]:
    """In Caffe: train networks as they start; losses, gradients and what blobs were at first."""
    import caffe

    found: dict[str, Any] = {}
    for name, file in solvers.items():
        solver = caffe.get_solver(file)
        net = solver.net
        start = {layer: blobs[0].data.copy() for layer, blobs in net.params.items()}
        solver.step(ITERATIONS)
        found[name] = {
            "start": start,
            "losses": [float(net.blobs[top].data) for top in net.outputs],
            "still": [
                layer
                for layer, blobs in net.params.items()
                if np.array_equal(blobs[0].data, start[layer])
            ],
            "projected": {b: v.data.copy() for b, v in net.blobs.items() if "branch1" in b},
            "sizes": {blob: values.data.shape[2:] for blob, values in net.blobs.items()},
        }
        del solver, net
    return found


@pytest.fixture
def trained(once: Once, tmp_path: Path) -> dict[str, Any]:
    """A narrow X_S in every reading after some training."""

    def run() -> Answer:
        recipe = Recipe(batch_size=4, memory=1e6, display=1, snapshot=100, test_interval=100)
        solvers = {}
        for name, choices in NEW.items():
            place = tmp_path / name.replace("=", "-").replace(" ", "-")
            data = dataset(CLASSES, (3, 32, 32), folder=str(place / "data"))
            make_databases(data, place)
            ordered = order("xs", data, WIDER, recipe, place, **choices)
            write_all(network_files(ordered))
            solvers[name] = str(ordered.solver)
        return in_caffe(train, solvers, folder=tmp_path)

    answer: Answer = once("trained_readings", run)
    assert answer.complaints == []
    value: dict[str, Any] = answer.value
    return value


@pytest.mark.parametrize("name", NEW)
def test_every_reading_trains_in_caffe(name: str, trained: dict[str, Any]) -> None:
    """A forward and a backward pass: losses are finite, and every layer with a rate has moved."""
    assert len(trained[name]["losses"]) == len(CLASSES)
    assert np.isfinite(trained[name]["losses"]).all()
    assert [layer for layer in trained[name]["still"] if not layer.startswith("bn")] == []


@pytest.mark.parametrize("name", NEW)
def test_projections_have_no_negative_numbers_only_after_a_relu(
    name: str, trained: dict[str, Any]
) -> None:
    rectified = name in ("projection-relu=yes", "all of them")
    assert len(trained[name]["projected"]) == 4
    for blob, values in trained[name]["projected"].items():
        assert (values.min() >= 0) == rectified, blob
        assert values.max() > 0


@pytest.mark.parametrize("name", NEW)
def test_sizes_shrink_where_the_stride_is(name: str, trained: dict[str, Any]) -> None:
    late = name in ("stride=in-3x3", "all of them")
    sizes = trained[name]["sizes"]
    for stage, side in (("3", 16), ("4", 8), ("5", 4)):
        assert sizes[f"res{stage}a_branch2a"] == ((2 * side,) * 2 if late else (side,) * 2)
        assert sizes[f"res{stage}a_branch2b"] == (side, side)


@pytest.mark.parametrize("name", NEW)
def test_cross_weights_start_with_the_deviation_of_their_reading(
    name: str, trained: dict[str, Any]
) -> None:
    start = trained[name]["start"]
    values = np.concatenate([start[layer] for layer in start if layer.startswith("cross")])
    channels = 32 * WIDER.width
    units = channels if name in ("cross-filler=channels", "all of them") else (1 + channels) / 2
    assert values.size == 12 * channels
    # Of 6,144 values, the deviation is within 4% (more than 4 standard errors).
    assert values.std() == pytest.approx(np.sqrt(2 / units), rel=0.04)


def test_full_size_cross_weights_would_have_the_deviation_that_is_told() -> None:
    told = {value: value.meaning.rpartition(" ")[2] for value in CrossFiller}
    channels = paper.CROSS_CHANNELS
    units = {CrossFiller.AVERAGE: (1 + channels) / 2, CrossFiller.CHANNELS: channels}
    for value, number in units.items():
        assert float(told[value]) == pytest.approx(np.sqrt(2 / number), abs=5e-5)


def test_opencv_computes_the_same_as_caffe(tmp_path: Path) -> None:
    prototxts = {
        name: text(order("xs", DATA, DEEPER, ANY_CARD, **choices), "deploy")
        for name, choices in NEW.items()
    }
    ran = in_caffe(run_each, prototxts, folder=tmp_path).value
    for number, name in enumerate(prototxts):
        files = (tmp_path / f"{number}.prototxt", tmp_path / f"{number}.caffemodel")
        agree(ran[name]["probabilities"], in_opencv(*files, ran[name]))


# ---- `netgen init` ------------------------------------------------------------------------------


@pytest.fixture
def source(once: Once, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layers:
    """Weights of a narrow ResNet-50 as He's: its strides are in the first 1 x 1."""
    monkeypatch.chdir(tmp_path)
    return narrow_source(once, tmp_path)


@pytest.mark.parametrize("name", ["cross-filler=channels", "projection-relu=yes"])
def test_weights_fit_a_reading_of_the_same_layers(name: str, source: Layers) -> None:
    build(Path(), "xs", **NEW[name])
    init("--variant", "xs", "--from", SOURCE)
    made = layers_of(Path("models/xs/initial.caffemodel"))
    assert same(made["res5a_branch1"], source["res5a_branch1"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("stride=in-3x3", "res3a_branch2b: stride 1 in the file, 2 in the network (`--reading str"),
        ("conv1=sixty", "conv1: 4 x 1 x 3 x 3, 4 in the file, 60 x 1 x 3 x 3, 60 in the network"),
        ("conv1-bias=no", "conv1: 4 x 1 x 3 x 3, 4 in the file, 4 x 1 x 3 x 3 in the network"),
    ],
)
def test_weights_of_another_reading_are_refused_with_the_reason(
    name: str, reason: str, source: Layers
) -> None:
    build(Path(), "xs", **NEW[name])
    assert reason in refused("--variant", "xs", "--from", SOURCE)
    assert not Path("models/xs/initial.caffemodel").exists()


def test_weights_of_a_later_resnet_fit_where_the_stride_is_in_the_3x3(
    source: Layers, tmp_path: Path
) -> None:
    ordered = build(Path(), "resnet50-noun", {"noun": 5}, stride=Stride.IN_3X3)
    in_caffe(make_random, deploy(ordered), "later.caffemodel", folder=tmp_path)
    build(Path(), "xs", stride=Stride.IN_3X3)
    init("--variant", "xs", "--from", "later.caffemodel")
    build(Path(), "x0")
    told = refused("--variant", "x0", "--from", "later.caffemodel")
    assert "res3a_branch2a: stride 1 in the file, 2 in the network" in told


def test_the_strides_of_hes_file_are_known_without_being_written_there(
    source: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `netgen init` writes it, without strides, a file fits in shape; He's is known by SHA-1."""
    save(Path("bare.caffemodel"), source)
    build(Path(), "xs", stride=Stride.IN_3X3)
    init("--variant", "xs", "--from", "bare.caffemodel")
    monkeypatch.setattr(caffemodel, "HE_RESNET50", caffemodel.sha1(Path("bare.caffemodel")))
    told = refused("--variant", "xs", "--from", "bare.caffemodel", "--force")
    assert "res3a_branch2b: stride 1 in the file, 2 in the network" in told


def test_a_shorter_stride_is_a_choice_of_its_own(source: Layers) -> None:
    """Dilated networks start from such weights."""
    file = Path("models/xs/train_val.prototxt")
    build(Path(), "xs")
    file.write_text(file.read_text().replace("    stride: 2\n", ""))
    init("--variant", "xs", "--from", SOURCE)


def test_a_fold_over_a_relu_is_refused(source: Layers) -> None:
    build(Path(), "xs", projection_relu=ProjectionReLU.YES)
    told = refused("--variant", "xs", "--from", SOURCE, "--moved-norm", "fold")
    assert "res5a_branch1: a ReLU follows it (`--reading projection-relu=yes`)" in told
    assert "choose --moved-norm branch2c" in told


def test_init_notes_a_relu_that_his_network_does_not_have(
    source: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(Path(), "xs", projection_relu=ProjectionReLU.YES)
    monkeypatch.setattr(caffemodel, "HE_RESNET50", caffemodel.sha1(Path(SOURCE)))
    said = init("--variant", "xs", "--from", SOURCE).stdout
    assert "res2a_branch1, res3a_branch1, res4a_branch1 and 1 more: a ReLU follows" in said


# ---- `netgen audit --net` -----------------------------------------------------------------------


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize("variant", ["resnet50-anp", "x0"])
@pytest.mark.parametrize("option", ["projection-relu", "stride", "conv1", "conv1-bias"])
def test_the_audit_knows_every_network_in_another_reading(variant: str, option: str) -> None:
    value: Choice = READINGS[option].values[1]
    reading = f"{option}={value.slug}"
    words = ("build", "--variant", variant, "--reading", reading, "--memory", "20")
    assert CliRunner().invoke(main, words).exit_code == 0
    net = f"models/{variant}/train_val.prototxt"
    found = CliRunner().invoke(main, ["audit", "--net", net, "--json"])
    assert f"equivalent to {variant} read as {reading};" in found.stdout
    assert found.exit_code == 0


def test_a_task_s_projection_has_its_own_relu() -> None:
    found = built("xs", branch=READINGS["branch"].values[1], projection_relu=ProjectionReLU.YES)
    for task in CLASSES:
        assert list(named(f"res5a_branch1_relu_{task}", found).top) == [f"res5a_branch1_{task}"]
    assert find("xs", TASKS).row.projection_relu is ProjectionReLU.NO


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize(
    ("std", "told"),
    [
        (0.03125, "equivalent to xs read as cross-filler=channels;"),
        (0.0441834, "X_S-ResNet-50 (xs), but for what is equivalent"),
        (0.04, "it starts at a standard deviation of 0.04, the paper's of 0.0442"),
    ],
)
def test_the_audit_knows_a_start_by_its_deviation(std: float, told: str) -> None:
    ours = 'filler { type: "msra" variance_norm: AVERAGE }'
    net = (ROOT / "models/xs/train_val.prototxt").read_text(encoding="utf-8")
    assert net.count(ours) == 12
    file = Path("net.prototxt")
    file.write_text(net.replace(ours, f'filler {{ type: "gaussian" std: {std} }}'))
    found = CliRunner().invoke(main, ["audit", "--net", str(file), "--json"])
    assert told in found.stdout
    assert found.exit_code == (std == 0.04)
