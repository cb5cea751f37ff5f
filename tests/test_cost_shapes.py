"""Shapes of any network: against Caffe, OpenCV and enumeration."""

from __future__ import annotations

import os
from math import prod
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.caffe_child import in_caffe
from support.cost import counted, shapes
from support.paths import ZOO
from support.prototxt import caffenet, conv, googlenet, image, node, pool

from netgen.caffe.caffe_pb2 import BlobShape, NetParameter
from netgen.caffe.schema import SchemaError, read_net
from netgen.cost.complexity import NetCost, count
from netgen.cost.layers.layer_types import RULES, ShapeError
from netgen.cost.layers.sources import OPEN_ENDED
from netgen.cost.layers.windows import Window, convolved, deconvolved, pooled

# ---- Against Caffe and OpenCV -------------------------------------------------------------------


def blobs_in_caffe(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    import caffe

    net = caffe.Net(path, caffe.TEST)
    blobs = {name: tuple(blob.data.shape) for name, blob in net.blobs.items()}
    parameters = {
        name: tuple(tuple(blob.data.shape) for blob in blobs) for name, blobs in net.params.items()
    }
    return blobs, parameters


def test_every_layer_type_has_the_shapes_that_caffe_gives_it() -> None:
    blobs, parameters = in_caffe(blobs_in_caffe, str(ZOO)).value
    cost = count(read_net(ZOO), "TEST")
    assert cost.complete
    for name, shape in shapes(cost).items():
        assert shape == blobs[name], name
    for entry in cost.layers:
        assert entry.blobs == parameters.get(entry.name, ()), entry.name


def test_the_zoo_has_every_layer_type_that_is_counted() -> None:
    # Those without: files to read or write, and what Caffe of 2016 does not have or cannot build.
    elsewhere = {"Data", "HDF5Data", "HDF5Output", "ImageData", "WindowData", "InfogainLoss"}
    later = {"Clip", "Swish"}
    counted_types = {entry.type for entry in read_net(ZOO).layer}
    assert RULES.keys() | OPEN_ENDED == counted_types | elsewhere | later


def weightless(cost: NetCost) -> bytes:
    """A caffemodel of zeros in the shapes that were counted."""
    net = NetParameter()
    for entry in cost.layers:
        blobs = net.layer.add(name=entry.name, type=entry.type).blobs
        for shape in entry.blobs:
            blobs.add(shape=BlobShape(dim=shape), data=bytes(prod(shape)))
    return net.SerializeToString()


@pytest.mark.parametrize("prototxt", [caffenet(hidden=8), googlenet(classes=8)])
def test_opencvs_reader_takes_our_weights_and_sees_our_shapes(prototxt: str) -> None:
    cost = counted(prototxt)
    texts = [prototxt.encode(), weightless(cost)]
    net = cv2.dnn.readNetFromCaffe(*(np.frombuffer(text, np.uint8) for text in texts))
    size = shapes(cost)["data"]
    assert size is not None
    ids, _, made = net.getLayersShapes(size)
    theirs = {
        net.getLayer(int(i)).name: [tuple(map(int, shape)) for shape in tops]
        for i, tops in zip(ids, made, strict=True)
    }
    compared = [entry for entry in cost.layers if entry.name in theirs and entry.type != "Input"]
    assert len(compared) > len(cost.layers) / 2
    for entry in compared:
        assert [top.shape for top in entry.tops] == theirs[entry.name], entry.name


def refused_by_caffe(text: str) -> bool:
    """Whether Caffe aborts on a network, in a child of the child."""
    pid = os.fork()
    if pid == 0:
        import tempfile

        import caffe

        with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
            file.write(text)
            file.flush()
            caffe.Net(file.name, caffe.TEST)
        os._exit(0)
    return os.waitpid(pid, 0)[1] != 0


def all_refused_by_caffe(texts: list[str]) -> list[bool]:
    return [refused_by_caffe(text) for text in texts]


REFUSED = {
    "the same top twice": image(1, 1, 4, 4) + conv("a", "data", 1, 1) + conv("a", "data", 1, 1),
    "overwritten while read": image(1, 1, 4, 4)
    + conv("a", "data", 1, 1)
    + node("ReLU", "late", "data", "data"),
    "read before made": image(1, 1, 4, 4) + conv("a", "b", 1, 1) + conv("b", "data", 1, 1),
    "far too large a kernel": image(1, 1, 4, 4) + conv("a", "data", 1, 7),
    "group": image(1, 3, 4, 4) + conv("a", "data", 4, 1, group=2),
    "2^31 elements": image(24, 3, 9999, 9999),
    "pad of a whole kernel": image(1, 1, 4, 4) + pool("a", "data", 2, 2, pad=2),
    "labels": image(4, 3) + image(3, name="label") + node("SoftmaxWithLoss", "loss", "data label"),
    "no offset": image(1, 3, 4, 4)
    + image(1, 3, 4, 4, name="like")
    + node("Crop", "crop", "data like", params="crop_param { offset: 1 }"),
    "reshape": image(1, 3, 4, 4)
    + node("Reshape", "a", "data", params="reshape_param { shape { dim: 5 dim: -1 } }"),
    "concat": image(1, 3, 4, 4) + image(1, 3, 5, 4, name="b") + node("Concat", "c", "data b"),
    "slice": image(1, 3, 4, 4) + node("Slice", "a", "data", "b c"),
}


def test_what_netgen_refuses_caffe_refuses_too() -> None:
    assert all(in_caffe(all_refused_by_caffe, list(REFUSED.values())).value)


@pytest.mark.parametrize("prototxt", list(REFUSED.values()), ids=list(REFUSED))
def test_what_caffe_refuses_netgen_refuses_too(prototxt: str) -> None:
    with pytest.raises(SchemaError, match="layer '"):
        counted(prototxt)


# ---- Windows, against enumeration ---------------------------------------------------------------


windows = st.builds(Window, st.integers(1, 9), st.integers(1, 5), st.integers(0, 4))
dilated = st.builds(
    Window, st.integers(1, 5), st.integers(1, 5), st.integers(0, 4), st.integers(1, 3)
)
sizes = st.integers(1, 60)


@given(sizes, dilated)
def test_a_convolution_has_one_output_for_every_place_its_window_fits(n: int, w: Window) -> None:
    padded = n + 2 * w.pad
    assume(w.extent <= padded)
    starts = range(0, padded, w.stride)
    assert convolved(n, w) == sum(start + w.extent <= padded for start in starts)


@given(sizes, windows)
def test_a_pooling_covers_everything_and_starts_no_window_in_the_far_padding(
    n: int, w: Window
) -> None:
    assume(w.pad < w.kernel <= n + 2 * w.pad)
    out, padded = pooled(n, w), n + 2 * w.pad
    covers = 1
    while (covers - 1) * w.stride + w.kernel < padded:
        covers += 1
    if w.pad and (covers - 1) * w.stride >= n + w.pad:
        covers -= 1
    assert out == covers


@given(sizes, dilated)
def test_a_deconvolution_undoes_a_convolutions_shape(n: int, w: Window) -> None:
    assume(w.stride * (n - 1) + w.extent > 2 * w.pad)
    assert convolved(deconvolved(n, w), w) == n


@given(sizes, st.integers(1, 5), st.integers(0, 4), st.integers(1, 9))
def test_a_window_may_hang_over_by_less_than_its_stride(
    n: int, stride: int, pad: int, over: int
) -> None:
    window = Window(n + 2 * pad + over, stride, pad)
    for positions in (convolved, pooled):
        if over < stride:
            assert positions(n, window) == 1
        else:
            with pytest.raises(ShapeError, match="too large"):
                positions(n, window)
