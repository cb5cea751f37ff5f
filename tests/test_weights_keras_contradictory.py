"""`netgen init --from` Keras' files that are well-formed and wrong: one clear line, no weights."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.foreign import (
    KERAS_MEAN,
    NETWORK,
    build_for,
    keras_file,
    numbers,
)
from support.initial_weights import refused

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

FROM = ("--net", f"{NETWORK}/train_val.prototxt", "--from")
CAFFE = ("--style", "caffe")
WITHIN = "layer1.0.conv2.weight"  # of 4 x 4 x 3 x 3


def refuse(content: bytes, *options: object) -> str:
    """Start from a file with this content, which is to fail and leave nothing."""
    build_for(KERAS_MEAN)
    Path("other.bin").write_bytes(content)
    before = sorted(Path().rglob("*"))
    message = refused(*FROM, "other.bin", *options)
    assert sorted(Path().rglob("*")) == before
    return message


# ---- HDF5 ---------------------------------------------------------------------------------------

LAYER = "conv3_block1_2_conv"
KERNEL = f"{LAYER}/{LAYER}/kernel:0"


def refuse_keras(change: Callable[[h5py.File], object]) -> str:
    """Start from Keras' file, changed."""
    content = io.BytesIO(keras_file(numbers(biases=True), since_2019=True))
    with h5py.File(content, "r+") as root:
        change(root)
    return refuse(content.getvalue())


def kernel(root: h5py.File, **made: Any) -> None:
    """Put another array in place of a kernel."""
    del root[KERNEL]
    root.create_dataset(KERNEL, **made)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (np.array([b"a"]), "bytes8, where a network's weights are floats"),
        (np.zeros((3, 3, 8, 8), [("x", "f4"), ("y", "i4")]), "void64, where a network's weights"),
        (np.ones((3, 3, 8, 8), np.complex64), "complex64, where a network's weights are floats"),
        (h5py.Empty("f4"), "is no array"),
    ],
    ids=["text", "records", "complex", "nothing"],
)
def test_hdf5_of_other_things_than_floats_is_refused(data: Any, told: str) -> None:
    assert told in refuse_keras(lambda root: kernel(root, data=data))


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_an_array_of_terabytes_in_a_small_file_is_refused(compression: str | None) -> None:
    shape = (3, 3, 10**6, 10**6)
    told = refuse_keras(
        lambda root: kernel(
            root, shape=shape, dtype="f4", chunks=(1, 1, 100, 100), compression=compression
        )
    )
    assert "has 3 x 3 x 1000000 x 1000000 numbers, more than any network" in told


def test_an_array_that_was_announced_and_never_written_is_refused() -> None:
    told = refuse_keras(lambda root: kernel(root, shape=(3, 3, 8, 8), dtype="f4"))
    assert f"{KERNEL!r}: not all of its numbers were written" in told


def test_a_compression_that_is_not_here_is_named() -> None:
    def compress(root: h5py.File) -> None:
        parent = root[KERNEL].parent
        del root[KERNEL]
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((3, 3, 8, 8))
        plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        space = h5py.h5s.create_simple((3, 3, 8, 8))
        made = h5py.h5d.create(parent.id, b"kernel:0", h5py.h5t.IEEE_F32LE, space, dcpl=plan)
        made.write_direct_chunk((0, 0, 0, 0), bytes(40), filter_mask=0)

    assert "is compressed by HDF5's filter 32015, which is not here" in refuse_keras(compress)


@pytest.mark.parametrize("path", ["model_weights", LAYER])
@pytest.mark.parametrize(
    "link", [h5py.ExternalLink("/etc/passwd", "/"), h5py.SoftLink("/model_weights")], ids=repr
)
def test_links_are_not_followed_wherever_they_are(path: str, link: object) -> None:
    def put(root: h5py.File) -> None:
        if path in root:
            del root[path]
        root[path] = link

    assert f"{path!r} is a link, which is not followed" in refuse_keras(put)


def test_an_array_that_is_not_there_is_not_called_a_link() -> None:
    def name(root: h5py.File) -> None:
        root[LAYER].attrs["weight_names"] = [b"nothing:0", b"bias:0"]

    told = refuse_keras(name)
    assert f"it says that it has '{LAYER}/nothing:0', but has not" in told


def test_a_normalisation_in_another_order_than_keras_is_refused() -> None:
    def swap(root: h5py.File) -> None:
        attributes = root["conv3_block1_2_bn"].attrs
        attributes["weight_names"] = attributes["weight_names"][[1, 0, 2, 3]]

    told = refuse_keras(swap)
    assert "and 1 more, where Keras has gamma, beta, mean, var: save it anew" in told


def test_a_keras_network_with_more_in_its_blocks_is_no_resnet_50() -> None:
    def add(root: h5py.File) -> None:
        root["conv3_block1_se_conv/w"] = np.ones(3, np.float32)
        root["conv3_block1_se_conv"].attrs["weight_names"] = [b"w"]

    told = refuse_keras(add)
    assert "a ResNet with other parts: it also has conv3_block1_se_conv" in told
