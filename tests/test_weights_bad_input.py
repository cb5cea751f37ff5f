"""`netgen init` on bad input: one clear line, and nothing is written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.initial_weights import (
    SOURCE,
    Layers,
    build,
    init,
    layers_of,
    make_source,
    narrow_source,
    refused,
    same,
    save,
    with_blobs,
)
from support.networks import NARROW
from support.once import Once
from support.paths import ROOT

from netgen.caffe.caffe_pb2 import NetParameter, SolverState
from netgen.caffe.caffemodel import Weights
from netgen.network.residual import Backbone

XS = ("--variant", "xs", "--from")
INITIAL = Path("models/xs/initial.caffemodel")


@pytest.fixture
def source(once: Once, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layers:
    """Weights of a narrow ResNet-50; in the current folder its file, and a network X_S."""
    build(tmp_path, "xs")
    monkeypatch.chdir(tmp_path)
    return narrow_source(once, tmp_path)


def refuse(layers: Layers, *options: object) -> str:
    """Start X_S from changed weights, which is to fail and leave nothing."""
    save(Path("changed.caffemodel"), layers)
    before = sorted(Path().rglob("*"))
    message = refused(*XS, "changed.caffemodel", *options)
    assert sorted(Path().rglob("*")) == before
    return message


# ---- weights of something else ------------------------------------------------------------------


def test_another_network_s_weights_are_told_with_the_closest_names(source: Layers) -> None:
    another = {
        name: Weights(name, "Convolution", (np.ones((4, 1, 3, 3), np.float32),))
        for name in ("conv1_1", "res2a_branch2", "fc6")
    }
    message = refuse(another)
    assert "changed.caffemodel does not fit models/xs/train_val.prototxt" in message
    assert "of its 122 layers with weights, 107 are not in the file and 0 differ" in message
    assert "not in the file: conv1, bn_conv1, scale_conv1 and 104 more" in message
    assert "it has conv1_1, res2a_branch2, fc6" in message
    assert "the closest names there: conv1_1 for conv1" in message


def test_weights_of_another_width_are_listed_by_their_shapes(source: Layers) -> None:
    wide = Backbone(8, NARROW.blocks, NARROW.stem)
    message = refuse(layers_of(make_source(Path.cwd() / "wide", wide)))
    assert "0 are not in the file" in message
    assert "conv1: 8 x 1 x 3 x 3, 8 in the file, 4 x 1 x 3 x 3, 4 in the network" in message
    assert "more of another type or shape" in message


def test_a_clone_of_another_shape_names_both_layers(source: Layers) -> None:
    message = refuse(with_blobs(source, "res5b_branch2b", np.ones((2, 2, 3, 3), np.float32)))
    assert "res5b_branch2b_noun from res5b_branch2b: 2 x 2 x 3 x 3 in the file" in message
    assert "3 differ" in message


def test_a_layer_that_is_lacking_is_an_error_unless_it_is_named(source: Layers) -> None:
    del source["res4a_branch2b"]
    assert "not in the file: res4a_branch2b;" in refuse(source)
    save(Path("lacking.caffemodel"), source)
    init(*XS, "lacking.caffemodel", "--fresh", "res4a_branch2b")
    made = layers_of(INITIAL)
    assert same(made["res4a_branch2a"], source["res4a_branch2a"])
    assert made["res4a_branch2b"].blobs[0].std() > 0


def test_a_moved_normalisation_needs_the_branch_that_is_named(source: Layers) -> None:
    del source["scale5a_branch1"]
    save(Path("changed.caffemodel"), source)
    assert "not in the file: scale5a_noun" in refuse(source, "--moved-norm", "branch1")
    message = refuse(source, "--moved-norm", "fold")
    assert "the fold needs layer 'scale5a_branch1' with 2 blobs" in message
    assert "choose --moved-norm branch2c" in message


# ---- dialects, damage ---------------------------------------------------------------------------


def of_nvidia(source: Layers) -> Layers:
    blobs = source["bn2a_branch1"].blobs
    return with_blobs(source, "bn2a_branch1", *blobs, *blobs[:2])


def of_nvidia_in_the_old_format(source: Layers) -> Layers:
    mean, variance, factor = source["bn2a_branch1"].blobs
    return with_blobs(source, "bn2a_branch1", mean, variance, 0 * factor)


def of_another_branch(source: Layers) -> Layers:
    return with_blobs(source, "bn2a_branch1", type_="BN")


def with_two_blobs(source: Layers) -> Layers:
    return with_blobs(source, "bn2a_branch1", *source["bn2a_branch1"].blobs[:2])


def merged(source: Layers) -> Layers:
    left = {name: layer for name, layer in source.items() if layer.type == "Convolution"}
    for name, layer in left.items():
        weights = layer.blobs[0]
        left = with_blobs(left, name, weights, np.zeros(len(weights), np.float32))
    return left


def diverged(source: Layers) -> Layers:
    weights = source["res3a_branch2b"].blobs[0].copy()
    weights[0, 0, 0, 0] = np.nan
    return with_blobs(source, "res3a_branch2b", weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_nvidia, "bn2a_branch1: a BatchNorm of 5 blobs, where Caffe's has 3"),
        (of_nvidia, "NVIDIA's or Intel's Caffe wrote it, with Scale's gain and bias inside"),
        (of_nvidia_in_the_old_format, "a BatchNorm whose factor is 0"),
        (of_nvidia_in_the_old_format, "Set the third blob of every BatchNorm to 1 first"),
        (of_another_branch, "bn2a_branch1: BN in the file, BatchNorm in the network"),
        (with_two_blobs, "a BatchNorm of 2 blobs, where Caffe's has 3"),
        (merged, "the file has no BatchNorm and no Scale: merged into its convolutions"),
        (diverged, "res3a_branch2b: NaN or infinite numbers: the training that left them diverged"),
    ],
)
def test_another_dialect_or_a_diverged_training_is_refused_with_the_reason(
    change: Callable[[Layers], Layers], message: str, source: Layers
) -> None:
    assert message in refuse(change(source))


def test_weights_without_averages_yet_are_no_dialect(source: Layers) -> None:
    zero = tuple(np.zeros_like(blob) for blob in source["bn2a_branch1"].blobs)
    save(Path("untrained.caffemodel"), with_blobs(source, "bn2a_branch1", *zero))
    init(*XS, "untrained.caffemodel")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda data: b"", "empty|no weights in it|no layers in it"),
        (lambda data: data[: len(data) // 2], "damaged or truncated, not a readable caffemodel"),
        (lambda data: b"\xff\xd8\xff\xe0" + data, "a JPEG image, not a readable caffemodel"),
        (lambda data: Path("models/xs/train_val.prototxt").read_bytes(), "text, not weights"),
        (lambda data: Path("solvers/xs.prototxt").read_bytes(), "text, not weights: give what"),
    ],
    ids=["empty", "cut off", "jpeg", "prototxt", "solver"],
)
def test_what_is_no_caffemodel_is_refused(
    content: Callable[[bytes], bytes], message: str, source: Layers
) -> None:
    Path("bad").write_bytes(content(Path(SOURCE).read_bytes()))
    said = refused(*XS, "bad")
    assert any(part in said for part in message.split("|")), said
    assert not INITIAL.exists()


def test_a_file_that_is_not_there_or_a_folder_is_refused(source: Layers) -> None:
    said = refused(*XS, "nowhere")
    assert "nowhere does not exist: name a caffemodel, or the folder that `netgen train`" in said
    assert "a folder without a snapshot of a training" in refused(*XS, "models")


def test_a_fold_is_refused_where_nothing_has_moved(source: Layers) -> None:
    init(*XS, SOURCE)
    said = refused(*XS, INITIAL, "--out", "again.caffemodel", "--moved-norm", "fold")
    assert "--moved-norm is for a normalisation that moved behind a sum, and none has" in said
    assert not Path("again.caffemodel").exists()


@pytest.mark.parametrize("name", ["a.solverstate", "state"])
def test_a_solverstate_names_the_caffemodel_beside_it(source: Layers, name: str) -> None:
    state = SolverState(iter=300, learned_net="elsewhere/" + "long" * 50 + ".caffemodel")
    Path(name).write_bytes(state.SerializeToString())
    model = "long" * 50 + ".caffemodel"
    said = refused(*XS, name)
    assert f"{name}: the state of a training, not its weights: name the caffemodel of its" in said
    assert f"iteration, {model}" in said
    Path(model).touch()
    assert f"its weights: name {model}, beside it" in refused(*XS, name)
    Path("cut.solverstate").touch()
    assert "iteration, cut.caffemodel" in refused(*XS, "cut.solverstate")


def test_one_name_for_two_layers_is_refused(source: Layers) -> None:
    twice = Path(SOURCE).read_bytes() * 2  # protobuf reads it as one message
    Path("twice").write_bytes(twice)
    assert "two layers of one name (conv1, bn_conv1, scale_conv1 and" in refused(*XS, "twice")


# ---- the network and the place ------------------------------------------------------------------


def test_a_network_that_is_not_built_names_the_command(source: Layers) -> None:
    message = refused("--variant", "x0", "--from", SOURCE)
    assert "models/x0/train_val.prototxt is not there" in message
    assert "`netgen build --variant x0` writes it" in message
    assert "give --variant NAME" in refused("--from", SOURCE)
    assert "give --variant NAME" in refused(*XS, SOURCE, "--net", "models/xs/deploy.prototxt")


def test_a_solver_or_weights_are_no_network(source: Layers) -> None:
    assert "solvers/xs.prototxt" in refused("--net", "solvers/xs.prototxt", "--from", SOURCE)
    assert "not text: give the network's" in refused("--net", SOURCE, "--from", SOURCE)
    Path("odd.prototxt").write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 } } }'
        'layer { name: "odd" type: "Odd" bottom: "data" top: "odd" }'
    )
    message = refused("--net", "odd.prototxt", "--from", SOURCE)
    assert "layer 'odd' (Odd): its weights are not known" in message


def test_a_file_that_is_there_stays_without_force(source: Layers) -> None:
    INITIAL.write_bytes(b"mine")
    assert "is there already: --force replaces it" in refused(*XS, SOURCE)
    assert INITIAL.read_bytes() == b"mine"
    init(*XS, SOURCE, "--force")
    assert len(layers_of(INITIAL)) == 122


@pytest.mark.parametrize("read", [SOURCE, "models/xs/train_val.prototxt", "link.caffemodel"])
def test_what_it_reads_is_not_overwritten_not_even_with_force(source: Layers, read: str) -> None:
    Path("link.caffemodel").symlink_to(SOURCE)
    before = Path(read).read_bytes()
    said = refused(*XS, SOURCE, "--out", read, "--force")
    assert f"{read} is a file that this command reads: give --out another file" in said
    assert Path(read).read_bytes() == before


def test_only_weights_are_replaced(source: Layers) -> None:
    solver = Path("solvers/xs.prototxt")
    before = solver.read_bytes()
    said = refused(*XS, SOURCE, "--out", solver, "--force")
    assert "is there already, and by its ending holds a network or a solver: give --out" in said
    assert solver.read_bytes() == before


def program(*prefix: str, path: str = "", folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `netgen init --variant xs --force` as a process of its own."""
    return subprocess.run(
        [*prefix, sys.executable, "-m", "netgen.commands.cli", "init", *XS, SOURCE, "--force"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([path, str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_full_disk_leaves_what_was_there(source: Layers, tmp_path: Path) -> None:
    private = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a small disk of one's own takes a mount namespace, not permitted here")
    (tmp_path / "disk").mkdir()
    script = """
    mount -t tmpfs -o size=400k tmpfs disk && cp -r models disk && cp source.caffemodel disk
    cd disk && echo mine >models/xs/initial.caffemodel
    "$@"; echo "exit code $?"; cat models/xs/initial.caffemodel; ls -A models/xs
    """
    size = (tmp_path / SOURCE).stat().st_size
    result = program(
        *private, "/bin/sh", "-c", script.replace("400k", str(size + 150_000)), "sh",
        folder=tmp_path,
    )  # fmt: skip
    assert "No space left on device: free some space" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout.splitlines() == [
        "exit code 1", "mine", "deploy.json", "deploy.prototxt", "initial.caffemodel",
        "snapshots", "train_val.prototxt",
    ]  # fmt: skip


def test_without_caffe_the_message_says_how_to_get_it(source: Layers, tmp_path: Path) -> None:
    (tmp_path / "without/caffe.py").parent.mkdir()
    (tmp_path / "without/caffe.py").write_text("raise ImportError('no Caffe here')")
    result = program(path=str(tmp_path / "without"), folder=tmp_path)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1, result.stderr
    assert "drawn by Caffe, which this Python does not have (no Caffe here)" in result.stderr
    assert not INITIAL.exists()


# ---- numbers that Caffe cannot compute with -----------------------------------------------------


def blobs_of(layers: Layers, kind: str) -> tuple[str, tuple[np.ndarray, ...]]:
    """The first layer of a type, and its blobs."""
    first = next(layer for layer in layers.values() if layer.type == kind)
    return first.name, tuple(np.asarray(blob) for blob in first.blobs)


def test_statistics_that_no_images_leave_are_refused(source: Layers) -> None:
    name, (mean, variance, factor) = blobs_of(source, "BatchNorm")
    told = refuse(with_blobs(source, name, mean, -1 - variance, factor))
    assert "negative variances in 1 BatchNorm layers: in TEST Caffe takes their root" in told
    told = refuse(with_blobs(source, name, mean, variance, -factor))
    assert "the scale factor of 1 BatchNorm layers is negative" in told


@pytest.mark.parametrize(
    ("shape", "numbers", "told"),
    [
        (None, 1e300, "numbers that are too large for the single precision that Caffe computes in"),
        ([0, 2**62], None, "a blob of shape 0 x 4611686018427387904: the file is damaged"),
    ],
    ids=["of double precision", "of no numbers"],
)
def test_a_blob_that_no_caffe_has_is_named(
    source: Layers, shape: list[int] | None, numbers: float | None, told: str
) -> None:
    net = NetParameter.FromString(Path(SOURCE).read_bytes())
    layer = next(each for each in net.layer if each.type == "Convolution")
    blob = layer.blobs[0]
    count = len(blob.data)
    blob.ClearField("data")
    if shape is not None:
        blob.shape.dim[:] = shape
    if numbers is not None:
        blob.double_data.extend([numbers] * count)
    Path("changed.caffemodel").write_bytes(net.SerializeToString())
    message = refused(*XS, "changed.caffemodel")
    assert layer.name in message
    assert told in message
