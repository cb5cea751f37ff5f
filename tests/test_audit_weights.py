"""Caffemodels inspected, without Caffe: full-size weights, and what single changes to them tell."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.audit import DEPLOY, XS, differing, network, shown
from support.weight_changes import Model, narrow, trained, write

from netgen.audit.inspection import InspectionVerdict, inspect
from netgen.audit.inspection.inspect_weights import inspect_weights
from netgen.caffe import caffemodel
from netgen.caffe.caffe_pb2 import BlobProto, NetParameter, V1LayerParameter
from netgen.caffe.caffemodel import CaffemodelError, read_weights
from netgen.caffe.schema import SchemaError

SMALL = Path("small.caffemodel")
NARROW = narrow("xs")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where a model goes; it is not kept: 170 MB a test add up."""
    path = tmp_path / "xs.caffemodel"
    yield path
    path.unlink(missing_ok=True)


def test_full_size_weights_of_xs_are_the_papers_and_take_seconds(path: Path) -> None:
    write(path, trained(network(DEPLOY)))
    started = time.process_time()
    found = inspect(weights=path)
    assert time.process_time() - started < 6
    assert not differing(found), shown(found)
    said = "\n".join(finding.what for finding in found)
    assert "all 212 layers of X_S-ResNet-50 (xs) that have weights" in said
    assert "43,184,007 parameters, the network has 43,184,007; Table 2 prints 43.18" in said
    crosses = [finding for finding in found if ": cross" in finding.where]
    assert len(crosses) == 12
    assert all('"mostly non-negative"' in finding.what for finding in crosses)
    assert "mean 0.05" in crosses[0].what


def test_weights_are_held_against_the_network_that_is_given(path: Path) -> None:
    noun = DEPLOY.parent.parent / "resnet50-noun/deploy.prototxt"
    found = inspect(net=noun, weights=write(path, trained(NARROW.net())))
    said = [finding.what for finding in differing(found)]
    assert any("layers with weights of ResNet-50 (resnet50-noun)" in what for what in said)


def lacks_a_layer(model: Model) -> None:
    del model["cross5c_noun_adj"]


def has_another_layer(model: Model) -> None:
    model["fc1000"] = ("InnerProduct", [np.zeros((1000, 2048), np.float32)])


def has_another_head(model: Model) -> None:
    model["fc_anp"] = (
        "InnerProduct",
        [blob[:167] for blob in model["fc_anp"][1]],
    )


def has_another_batch_norm(model: Model) -> None:
    kind, blobs = model["bn2a_branch1"]
    model["bn2a_branch1"] = (kind, [*blobs, blobs[0]])


def diverged(model: Model) -> None:
    kind, blobs = model["res3a_branch2b"]
    spoilt = blobs[0].copy()
    spoilt[1, 2, 0, 0] = np.nan
    model["res3a_branch2b"] = (kind, [spoilt])


def overflowed(model: Model) -> None:
    model["cross5b_adj_anp"] = ("Scale", [np.full(128, np.inf, np.float32)])


def without_statistics(model: Model) -> None:
    kind, blobs = model["bn4a_branch2a"]
    model["bn4a_branch2a"] = (kind, [*blobs[:2], np.zeros(1, np.float32)])


def negative_cross_weights(model: Model) -> None:
    kind, blobs = model["cross5b_adj_noun"]
    model["cross5b_adj_noun"] = (kind, [-np.abs(blobs[0])])


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (lacks_a_layer, "cross5c_noun_adj", "lacks 1 of the"),
        (has_another_layer, "fc1000", "1 layers that X_S-ResNet-50 (xs) does not have"),
        (has_another_head, "fc_anp", "167 x 128, 167, the paper's network has 553 x 128, 553"),
        (has_another_batch_norm, "bn2a_branch1", "another branch's BatchNorm"),
        (diverged, "res3a_branch2b", "NaN or infinite numbers in 1 layers"),
        (overflowed, "cross5b_adj_anp", "NaN or infinite numbers in 1 layers"),
        (without_statistics, "bn4a_branch2a", "the scale factor of 1 BatchNorm layers is 0"),
        (negative_cross_weights, "cross5b_adj_noun", "0.0% not negative"),
    ],
)
def test_a_change_of_weights_is_named(
    change: Callable[[Model], object], where: str, what: str, path: Path
) -> None:
    changed = trained(NARROW.net())
    usual = inspect_weights(write(path, changed), NARROW)
    assert {finding.where for finding in differing(usual)} == {str(path)}  # the narrow one's count
    change(changed)
    found = differing(inspect_weights(write(path, changed), NARROW))
    assert any(f.where.endswith(f": {where}") and what in f.what for f in found), shown(found)
    assert len(found) <= 3, shown(found)


def test_two_layers_of_one_name_are_reported(path: Path) -> None:
    write(path, trained(NARROW.net()))
    path.write_bytes(path.read_bytes() * 2)  # protobuf reads it as one message
    found = differing(inspect_weights(path, NARROW))
    assert any("are used by two layers each" in finding.what for finding in found), shown(found)


def test_hes_file_is_recognised_by_its_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small(tmp_path)
    assert caffemodel.HE_RESNET50 == "b7c79ccc21ad0479cddc0dd78b1d20c4d722908d"
    monkeypatch.setattr(caffemodel, "HE_RESNET50", hashlib.sha1(path.read_bytes()).hexdigest())
    found = inspect(weights=path)
    assert "He's ResNet-50 for ImageNet, byte for byte" in found[0].what
    assert found[0].verdict is InspectionVerdict.SAME


def small(folder: Path) -> Path:
    net = NetParameter()
    layer = net.layer.add(name="conv1", type="Convolution")
    layer.blobs.add(data=[1.5, -2.0, 0.25, 3.0]).shape.dim.extend([2, 2])
    layer.blobs.add(double_data=[0.1, 0.2]).shape.dim.append(2)
    path = folder / SMALL
    path.write_bytes(net.SerializeToString())
    return path


def test_blobs_are_what_protobuf_reads(tmp_path: Path) -> None:
    (layer,) = read_weights(small(tmp_path))
    assert (layer.name, layer.type) == ("conv1", "Convolution")
    np.testing.assert_array_equal(layer.blobs[0], [[1.5, -2.0], [0.25, 3.0]])
    np.testing.assert_array_equal(layer.blobs[1], [0.1, 0.2])


def test_blobs_of_2014_have_four_axes_and_a_numbered_type(tmp_path: Path) -> None:
    old = V1LayerParameter(name="fc", type=V1LayerParameter.INNER_PRODUCT)
    old.blobs.append(BlobProto(num=1, channels=1, height=2, width=3, data=range(6)))
    path = tmp_path / SMALL
    path.write_bytes(NetParameter(layers=[old]).SerializeToString())
    (layer,) = read_weights(path)
    assert (layer.type, layer.blobs[0].shape) == ("InnerProduct", (1, 1, 2, 3))


def test_a_blob_of_no_axes_is_one_number_as_caffe_writes_it(path: Path) -> None:
    """Of a Scale with num_axes 0, and of a PReLU with one slope for all channels."""
    net = NetParameter()
    layer = net.layer.add(name="scalar", type="Scale")
    layer.blobs.add(data=[0.5]).shape.SetInParent()
    path.write_bytes(net.SerializeToString())
    (read,) = read_weights(path)
    assert read.blobs[0].shape == ()
    assert read.blobs[0] == 0.5
    found = inspect(weights=path)
    assert any("1 parameters, the network has" in finding.what for finding in found), shown(found)
    layer.blobs[0].data.append(0.25)
    path.write_bytes(net.SerializeToString())
    with pytest.raises(CaffemodelError, match="shape scalar holds 2 numbers: the file is damaged"):
        read_weights(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "damaged or truncated, not a readable caffemodel"),
        (lambda data: b"\x80" + data, "`netgen init --from` makes one from what other programs"),
        (lambda data: b"\xff\xd8\xff\xe0" + data, "a JPEG image, not a readable caffemodel"),
        (lambda data: b"\x89HDF\r\n\x1a\n" + data, "an HDF5 file, not a readable caffemodel"),
        (lambda data: b"", "no weights in it|no layers in it"),
    ],
)
def test_what_is_no_caffemodel_is_one_clear_error(
    damage: Callable[[bytes], bytes], message: str, tmp_path: Path
) -> None:
    path = small(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises((SchemaError, CaffemodelError), match=message):
        inspect(weights=path)


def test_a_shape_that_lies_is_one_clear_error(tmp_path: Path) -> None:
    net = NetParameter.FromString(small(tmp_path).read_bytes())
    net.layer[0].blobs[0].shape.dim[:] = [2**40, 2**40]
    path = tmp_path / SMALL
    path.write_bytes(net.SerializeToString())
    with pytest.raises(CaffemodelError, match="holds 4 numbers: the file is damaged"):
        inspect(weights=path)


def test_a_network_without_weights_is_no_caffemodel(tmp_path: Path) -> None:
    path = tmp_path / SMALL
    path.write_bytes(network(XS).SerializeToString())
    with pytest.raises(CaffemodelError, match="no weights in it"):
        inspect(weights=path)
    with pytest.raises(SchemaError, match="No such file"):
        inspect(weights=tmp_path / "nowhere.caffemodel")
