"""`netgen init` and the normalisation that moves, proved by what Caffe computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.caffe_child import in_caffe
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
    make_source,
    pools,
    real_images,
    refused,
    same,
)
from support.networks import NARROW

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
from netgen.network.residual import RESNET50


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
    moves = reading.get("moved_norm") is not MovedNorm.NOTHING
    init("--variant", "x0", "--from", SOURCE, *(("--moved-norm", "fold") if moves else ()))
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
    assert "only BatchNorm or only Scale moved" in message
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
