"""The shapes of data: what databases and other sources say of themselves."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cost import counted, shapes
from support.prototxt import conv, fc, image, node, pool

from netgen.caffe.caffe_pb2 import Datum
from netgen.caffe.schema import SchemaError


def data(name: str, source: str = "nowhere", tops: str | None = None, more: str = "") -> str:
    param = f'data_param {{ source: "{source}" batch_size: 6 backend: LMDB }} {more}'
    return node("Data", name, tops=tops, params=param)


def make_lmdb(path: Path, datum: Datum) -> str:
    with lmdb.open(str(path), map_size=2**20) as database, database.begin(write=True) as records:
        records.put(b"0", datum.SerializeToString())
    return str(path)


def test_an_image_of_unknown_size_is_the_papers_and_the_result_says_so() -> None:
    cost = counted(data("image") + conv("c", "image", 2, 3))
    assert shapes(cost)["image"] == (6, 3, 224, 224)
    assert "'image' is ASSUMED to be 3 x 224 x 224" in cost.notices[0]
    assert cost.batch == 6


def test_a_database_that_is_read_as_labels_only_has_one_number_a_record() -> None:
    net = data("image") + data("label") + conv("c", "image", 2, 3) + fc("fc", "c", 5)
    net += node("SoftmaxWithLoss", "loss", "fc label") + node("Accuracy", "top1", "fc label")
    cost = counted(net)
    assert shapes(cost)["label"] == (6, 1, 1, 1)
    assert len(cost.notices) == 1


def test_a_database_that_is_read_as_labels_and_as_images_holds_images() -> None:
    net = data("image") + data("both") + conv("a", "image", 2, 3) + fc("fc", "a", 5)
    net += conv("c", "both", 2, 3)
    cost = counted(net + node("Accuracy", "top1", "fc both", params="include { phase: TRAIN }"))
    assert shapes(cost)["both"] == (6, 3, 224, 224)
    # Read as labels it cannot be of this size.
    with pytest.raises(SchemaError, match="6 x 3 x 224 x 224 labels for scores of 6 x 5"):
        counted(net + node("Accuracy", "top1", "fc both"))


def test_the_callers_shape_goes_before_all_others(tmp_path: Path) -> None:
    source = make_lmdb(tmp_path / "db", Datum(channels=3, height=9, width=9))
    cost = counted(
        data("image", source, more="transform_param { crop_size: 8 }"),
        inputs={"image": (1, 28, 20)},
    )
    assert shapes(cost)["image"] == (6, 1, 28, 20)
    deploy = counted(image(2, 3, 224, 224), inputs={"data": (3, 227, 227)})
    assert shapes(deploy)["data"] == (2, 3, 227, 227)


def test_a_shape_for_a_blob_that_no_data_layer_makes_is_refused() -> None:
    with pytest.raises(
        SchemaError, match="blob 'date', which no data layer makes: choose from data"
    ):
        counted(image(1, 3, 4, 4), inputs={"date": (3, 4, 4)})


@pytest.mark.parametrize("transform", ["", "transform_param { crop_size: 8 }"])
def test_the_first_record_of_an_lmdb_tells_the_shape(tmp_path: Path, transform: str) -> None:
    source = make_lmdb(tmp_path / "db", Datum(channels=2, height=10, width=12))
    cost = counted(data("image", source, "image label", transform))
    assert shapes(cost) == {"image": (6, 2, 8, 8) if transform else (6, 2, 10, 12), "label": (6,)}
    assert not cost.notices


@pytest.mark.parametrize(
    ("transform", "channels"), [("", 3), ("force_gray: true", 1), ("force_color: true", 3)]
)
def test_an_encoded_record_is_decoded_for_its_shape(
    tmp_path: Path, transform: str, channels: int
) -> None:
    encoded = cv2.imencode(".png", np.zeros((10, 12, 3), np.uint8))[1].tobytes()
    source = make_lmdb(tmp_path / "db", Datum(data=encoded, encoded=True))
    cost = counted(data("image", source, more=f"transform_param {{ {transform} }}"))
    assert shapes(cost)["image"] == (6, channels, 10, 12)


def test_a_folder_that_is_no_lmdb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"not a database")
    with pytest.raises(
        SchemaError, match=r"layer 'image' \(Data\): database .* no.* readable LMDB"
    ):
        counted(data("image", str(tmp_path)))


def test_an_lmdb_that_was_cut_off_is_refused_before_it_ends_the_process(tmp_path: Path) -> None:
    source = make_lmdb(tmp_path / "db", Datum(channels=3, height=90, width=90, data=bytes(24300)))
    os.truncate(tmp_path / "db/data.mdb", 12_288)
    with pytest.raises(SchemaError, match=r"layer 'image' \(Data\): database .*cut off at 12,288"):
        counted(data("image", source))


def test_other_sources_tell_what_they_can() -> None:
    size = (
        'image_data_param { source: "list" batch_size: 4 new_height: 9 new_width: 7 is_color: %s }'
    )
    color = counted(node("ImageData", "a", tops="a b", params=size % "true"))
    assert shapes(color) == {"a": (4, 3, 9, 7), "b": (4,)}
    gray = counted(node("ImageData", "a", tops="a b", params=size % "false"))
    assert shapes(gray)["a"] == (4, 1, 9, 7)
    hdf5 = node("HDF5Data", "h", params='hdf5_data_param { source: "list" batch_size: 4 }')
    assert not counted(hdf5).complete
    assert shapes(counted(hdf5, inputs={"h": (1, 2, 3)})) == {"h": (4, 1, 2, 3)}


# ---- what is assumed, and what is not -----------------------------------------------------------


def test_a_network_of_vectors_is_given_no_image() -> None:
    cost = counted(data("vector") + fc("fc", "vector", 5))
    assert not cost.complete
    assert not cost.assumed
    assert "feeds 'vector' to no convolution or pooling" in cost.notices[0]
    assert "--input vector=" in cost.notices[0]


@pytest.mark.parametrize("between", ["ReLU", "BatchNorm", "Split"])
def test_an_image_reaches_a_convolution_through_other_layers(between: str) -> None:
    cost = counted(data("image") + node(between, "b", "image") + pool("p", "b", 2, 2))
    assert shapes(cost)["p"] == (6, 3, 112, 112)
    assert len(cost.assumed) == 1


def test_an_error_that_follows_from_an_assumption_says_so_and_no_other_does() -> None:
    assumed = data("image") + conv("c", "image", 2, 3) + fc("fc", "c", 5)
    wrong = node("Concat", "cat", "c fc")
    with pytest.raises(SchemaError, match=r"'cat' .*; blob 'image' is ASSUMED to be 3 x 224"):
        counted(assumed + wrong)
    of_another = image(6, 2) + node("Reshape", "r", "data", params=_shape(5))
    with pytest.raises(SchemaError, match="'r'") as caught:
        counted(data("image") + conv("c", "image", 2, 3) + of_another)
    assert "ASSUMED" not in str(caught.value)


def _shape(*sizes: int) -> str:
    return f"reshape_param {{ shape {{ {' '.join(f'dim: {size}' for size in sizes)} }} }}"


def test_channels_that_a_crop_leaves_open_are_an_assumption_too() -> None:
    cropped = data("image", more="transform_param { crop_size: 8 }")
    assert "'image' is ASSUMED to have 3 channels" in counted(cropped).assumed[0]
    files = 'image_data_param { source: "list" batch_size: 6 is_color: false }'
    grey = node("ImageData", "a", tops="a b", params=f"{files} transform_param {{ crop_size: 8 }}")
    assert shapes(counted(grey))["a"] == (6, 1, 8, 8)
    assert not counted(grey).assumed


def test_labels_that_are_sliced_apart_have_one_number_each() -> None:
    net = data("image") + data("labels") + node("Slice", "cut", "labels", "one two")
    net += conv("c", "image", 2, 3) + fc("fc", "c", 5)
    net += "".join(node("SoftmaxWithLoss", f"loss_{x}", f"fc {x}") for x in ("one", "two"))
    cost = counted(net)
    assert shapes(cost)["labels"] == (6, 2, 1, 1)
    assert shapes(cost)["two"] == (6, 1, 1, 1)
    assert cost.complete


# ---- what the caller says -----------------------------------------------------------------------

sizes = st.lists(st.integers(1, 40), min_size=1, max_size=5).map(tuple)


@given(sizes)
def test_sources_whose_data_is_not_in_a_database_take_any_size(shape: tuple[int, ...]) -> None:
    hdf5 = node("HDF5Data", "h", params='hdf5_data_param { source: "list" batch_size: 4 }')
    assert shapes(counted(hdf5, inputs={"h": shape}))["h"] == (4, *shape)
    for kind in ("Python", "TheirData"):
        cost = counted(node(kind, "p"), inputs={"p": shape})
        assert shapes(cost)["p"] == (1, *shape)
        assert "'p' is ASSUMED to have 1 records per batch" in cost.assumed[0]
    assert shapes(counted(node("Input", "i"), inputs={"i": shape}))["i"] == (1, *shape)


@given(sizes)
def test_records_of_a_database_have_three_axes(shape: tuple[int, ...]) -> None:
    if len(shape) > 3:
        with pytest.raises(SchemaError, match="a record is C x H x W"):
            counted(data("d"), inputs={"d": shape})
    else:
        made = shapes(counted(data("d"), inputs={"d": shape}))["d"]
        assert made == (6, *shape, *(1,) * (3 - len(shape)))


def test_a_layer_of_another_branch_says_its_own_batch_and_its_labels_need_no_hint() -> None:
    net = node("AnnotatedData", "d", tops="d label", params="data_param { batch_size: 8 }")
    net += conv("c", "d", 2, 3) + fc("fc", "c", 5) + node("SoftmaxWithLoss", "loss", "fc label")
    cost = counted(net, inputs={"d": (3, 9, 9)})
    assert shapes(cost)["label"] == (8, 1, 1, 1)
    assert cost.complete
    assert not cost.notices


def test_what_nothing_reads_does_not_make_a_count_incomplete() -> None:
    net = (
        data("image") + conv("c", "image", 2, 3) + data("spare") + node("Silence", "s", "spare", "")
    )
    cost = counted(net)
    assert cost.complete
    assert shapes(cost)["spare"] == (6, 1, 1, 1)
    assert any("'spare' is ASSUMED to be a number per record" in each for each in cost.assumed)


def test_a_program_feeds_in_batches_of_the_other_sources_size() -> None:
    net = node("Python", "p", tops="p") + data("label") + conv("c", "p", 2, 3) + fc("fc", "c", 5)
    cost = counted(net + node("SoftmaxWithLoss", "loss", "fc label"), inputs={"p": (3, 9, 9)})
    assert shapes(cost)["p"] == (6, 3, 9, 9)
    assert cost.complete
