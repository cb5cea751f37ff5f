"""Counting any network: against Caffe, OpenCV, published numbers and enumeration."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
import pytest
from caffe_child import in_caffe
from hypothesis import assume, given
from hypothesis import strategies as st

from netgen.caffe.caffe_pb2 import BlobShape, Datum, NetParameter
from netgen.caffe.schema import Phase, SchemaError, parse_net, read_net
from netgen.cost.complexity import LayerCost, NetCost, count
from netgen.cost.layers.sources import OPEN_ENDED
from netgen.cost.layers.table import RULES, ShapeError
from netgen.cost.layers.windows import Window, convolved, deconvolved, pooled
from netgen.cost.memory import PROGRAM_BYTES

ZOO = Path(__file__).parent / "zoo.prototxt"


def counted(prototxt: str, phase: Phase = "TEST", **options: Any) -> NetCost:
    return count(parse_net(prototxt), phase, **options)


def layer(cost: NetCost, name: str) -> LayerCost:
    return next(layer for layer in cost.layers if layer.name == name)


def shapes(cost: NetCost) -> dict[str, tuple[int, ...] | None]:
    return {top.name: top.shape for layer in cost.layers for top in layer.tops}


# -- Small prototxt writers ----------------------------------------------------------------------


def node(kind: str, name: str, bottoms: str = "", tops: str | None = None, params: str = "") -> str:
    """A layer; its top is its name unless given."""
    made = name if tops is None else tops
    wires = [f'bottom: "{b}"' for b in bottoms.split()] + [f'top: "{t}"' for t in made.split()]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(wires)} {params} }}\n'


def image(*shape: int, name: str = "data") -> str:
    sizes = " ".join(f"dim: {size}" for size in shape)
    return node("Input", name, params=f"input_param {{ shape {{ {sizes} }} }}")


def conv(name: str, bottom: str, outputs: int, kernel: int, **fields: object) -> str:
    others = " ".join(f"{field}: {value}" for field, value in fields.items())
    numbers = f"num_output: {outputs} kernel_size: {kernel} {others}"
    return node("Convolution", name, bottom, params=f"convolution_param {{ {numbers} }}")


def pool(name: str, bottom: str, kernel: int, stride: int, kind: str = "MAX", pad: int = 0) -> str:
    numbers = f"pool: {kind} kernel_size: {kernel} stride: {stride} pad: {pad}"
    return node("Pooling", name, bottom, params=f"pooling_param {{ {numbers} }}")


def fc(name: str, bottom: str, outputs: int) -> str:
    numbers = f"num_output: {outputs}"
    return node("InnerProduct", name, bottom, params=f"inner_product_param {{ {numbers} }}")


def caffenet(size: int = 227, classes: int = 1000, hidden: int = 4096) -> str:
    """BVLC's reference CaffeNet."""
    return "".join(
        [
            image(1, 3, size, size),
            conv("conv1", "data", 96, 11, stride=4),
            pool("pool1", "conv1", 3, 2),
            node("LRN", "norm1", "pool1"),
            conv("conv2", "norm1", 256, 5, pad=2, group=2),
            pool("pool2", "conv2", 3, 2),
            conv("conv3", "pool2", 384, 3, pad=1),
            conv("conv4", "conv3", 384, 3, pad=1, group=2),
            conv("conv5", "conv4", 256, 3, pad=1, group=2),
            pool("pool5", "conv5", 3, 2),
            fc("fc6", "pool5", hidden),
            node("Dropout", "drop6", "fc6", "fc6"),
            fc("fc7", "fc6", hidden),
            fc("fc8", "fc7", classes),
            node("Softmax", "prob", "fc8"),
        ]
    )


def vgg16(classes: int = 1000) -> str:
    """Simonyan and Zisserman's configuration D."""
    text, top = image(1, 3, 224, 224), "data"
    for stage, (repeats, width) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]):
        for index in range(repeats):
            name = f"conv{stage + 1}_{index + 1}"
            text, top = text + conv(name, top, width, 3, pad=1), name
        text, top = text + pool(f"pool{stage + 1}", top, 2, 2), f"pool{stage + 1}"
    return text + fc("fc6", top, 4096) + fc("fc7", "fc6", 4096) + fc("fc8", "fc7", classes)


# Table 1 of "Going deeper with convolutions": 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj.
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(classes: int = 1000) -> str:
    """Inception-v1 as deployed: without auxiliary heads."""
    text = image(1, 3, 224, 224) + conv("conv1", "data", 64, 7, stride=2, pad=3)
    text += pool("pool1", "conv1", 3, 2) + node("LRN", "norm1", "pool1")
    text += conv("reduce2", "norm1", 64, 1) + conv("conv2", "reduce2", 192, 3, pad=1)
    text += node("LRN", "norm2", "conv2") + pool("pool2", "norm2", 3, 2)
    top = "pool2"
    for name, (one, reduce3, three, reduce5, five, proj) in INCEPTION.items():
        text += conv(f"{name}_1", top, one, 1)
        text += conv(f"{name}_3r", top, reduce3, 1) + conv(
            f"{name}_3", f"{name}_3r", three, 3, pad=1
        )
        text += conv(f"{name}_5r", top, reduce5, 1) + conv(
            f"{name}_5", f"{name}_5r", five, 5, pad=2
        )
        text += pool(f"{name}_p", top, 3, 1, pad=1) + conv(f"{name}_pp", f"{name}_p", proj, 1)
        joined = f"{name}_1 {name}_3 {name}_5 {name}_pp"
        text, top = text + node("Concat", name, joined), name
        if name in ("3b", "4e"):
            text, top = text + pool(f"pool{name}", top, 3, 2), f"pool{name}"
    return text + pool("pool5", top, 7, 1, "AVE") + fc("fc", "pool5", classes)


def normalised(name: str, bottom: str, outputs: int, kernel: int, **fields: object) -> str:
    """He's convolution, BatchNorm and Scale."""
    text = conv(name, bottom, outputs, kernel, **({"bias_term": "false"} | fields))
    text += node("BatchNorm", f"bn_{name}", name, name)
    return text + node("Scale", f"scale_{name}", name, name, "scale_param { bias_term: true }")


def resnet50(classes: int = 1000, batch: int = 1, size: int = 224) -> str:
    """He's ResNet-50, with a bias in conv1 and nowhere else."""
    text = image(batch, 3, size, size)
    text += normalised("conv1", "data", 64, 7, stride=2, pad=3, bias_term="true")
    text, top = text + pool("pool1", "conv1", 3, 2), "pool1"
    for stage, (blocks, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], start=2):
        for block in range(blocks):
            name, stride = f"res{stage}_{block}", 2 if stage > 2 and block == 0 else 1
            text += normalised(f"{name}a", top, width, 1, stride=stride)
            text += normalised(f"{name}b", f"{name}a", width, 3, pad=1)
            text += normalised(f"{name}c", f"{name}b", 4 * width, 1)
            if block == 0:
                text += normalised(f"{name}s", top, 4 * width, 1, stride=stride)
            shortcut = f"{name}s" if block == 0 else top
            text, top = text + node("Eltwise", name, f"{shortcut} {name}c"), name
            text += node("ReLU", f"{name}_relu", name, name)
    text += node("Pooling", "pool5", top, params="pooling_param { pool: AVE global_pooling: true }")
    return text + fc("fc", "pool5", classes)


# -- Published numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prototxt", "parameters", "giga_multiply_adds"),
    [
        (caffenet(), 60_965_224, 0.72),
        (vgg16(), 138_357_544, 15.47),
        (googlenet(), 6_998_552, 1.58),
        # 25,557,032 as elsewhere, conv1's bias, and BatchNorm's three blobs: 64 + 2 x 26,560 + 53.
        (resnet50(), 25_610_269, 3.86),
    ],
    ids=["CaffeNet", "VGG-16", "GoogLeNet", "ResNet-50"],
)
def test_known_networks_have_their_published_parameters_and_multiply_adds(
    prototxt: str, parameters: int, giga_multiply_adds: float
) -> None:
    cost = counted(prototxt)
    assert cost.parameters == parameters
    assert cost.multiply_adds_per_image / 1e9 == pytest.approx(giga_multiply_adds, abs=0.005)
    assert cost.complete
    assert not cost.notices


@pytest.mark.parametrize(
    ("prototxt", "parameters"),
    [(caffenet(224, 167), 57_552_423), (caffenet(224, 553), 59_133_865), (vgg16(117), 134_739_893)],
)
def test_table_2s_baselines_have_its_parameters(prototxt: str, parameters: int) -> None:
    assert counted(prototxt).parameters == parameters


def test_the_whole_net_of_a_batch_takes_a_batch_times_the_work() -> None:
    one, four = counted(resnet50(batch=1)), counted(resnet50(batch=4))
    assert four.multiply_adds == 4 * one.multiply_adds
    assert four.multiply_adds_per_image == one.multiply_adds
    assert four.parameters == one.parameters


def test_a_deconvolution_works_once_for_every_element_it_reads() -> None:
    numbers = "convolution_param { num_output: 5 kernel_size: 4 stride: 2 }"
    cost = counted(image(3, 2, 6, 7) + node("Deconvolution", "up", "data", params=numbers))
    assert layer(cost, "up").multiply_adds == 3 * (2 * 6 * 7) * (5 * 4 * 4)


# -- Against Caffe and OpenCV --------------------------------------------------------------------


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


# -- Windows, against enumeration ----------------------------------------------------------------

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


# -- Parameters ----------------------------------------------------------------------------------


def test_a_blob_that_layers_share_is_counted_once() -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    numbers = "inner_product_param { num_output: 8 }"
    cost = counted(
        image(2, 8)
        + node("InnerProduct", "first", "data", params=f"{shared} {numbers}")
        + node("InnerProduct", "second", "first", params=f"{shared} {numbers}")
    )
    assert cost.parameters == 8 * 8 + 8
    assert layer(cost, "second").parameters == 0
    assert layer(cost, "second").blobs == ((8, 8), (8,))


def test_what_is_not_learned_is_a_parameter_that_is_not_trainable() -> None:
    frozen = "param { lr_mult: 0 } param { lr_mult: 2 }"
    cost = counted(
        image(1, 3, 8, 8)
        + node(
            "Convolution",
            "c",
            "data",
            params=f"{frozen} convolution_param {{ num_output: 5 kernel_size: 3 }}",
        )
        + node("BatchNorm", "bn", "c", "c")
        + node("Scale", "scale", "c", "c", "scale_param { bias_term: true }")
    )
    assert cost.parameters == 5 * 27 + 5 + (5 + 5 + 1) + 10
    assert cost.trainable == 5 + 10


def test_layers_of_another_phase_are_not_counted() -> None:
    only = "include { phase: TRAIN } inner_product_param { num_output: 3 }"
    net = image(1, 4) + node("InnerProduct", "extra", "data", params=only)
    assert counted(net, "TRAIN").parameters == 15
    assert counted(net, "TEST").parameters == 0


# -- Sources of data -----------------------------------------------------------------------------


def data(name: str, source: str = "nowhere", tops: str | None = None, more: str = "") -> str:
    param = f'data_param {{ source: "{source}" batch_size: 6 backend: LMDB }} {more}'
    return node("Data", name, tops=tops, params=param)


def make_lmdb(path: Path, datum: Datum) -> str:
    with lmdb.open(str(path), map_size=2**20) as database, database.begin(write=True) as records:
        records.put(b"0", datum.SerializeToString())
    return str(path)


def test_an_image_of_unknown_size_is_the_papers_and_the_result_says_so() -> None:
    cost = counted(data("image"))
    assert shapes(cost)["image"] == (6, 3, 224, 224)
    assert "'image' is ASSUMED to be 3 x 224 x 224" in cost.notices[0]
    assert cost.batch == 6


def test_a_database_that_is_read_as_labels_only_has_one_number_a_record() -> None:
    net = data("image") + data("label") + fc("fc", "image", 5)
    net += node("SoftmaxWithLoss", "loss", "fc label") + node("Accuracy", "top1", "fc label")
    cost = counted(net)
    assert shapes(cost)["label"] == (6, 1, 1, 1)
    assert len(cost.notices) == 1


def test_a_database_that_is_read_as_labels_and_as_images_holds_images() -> None:
    net = data("image") + data("both") + fc("fc", "image", 5) + conv("c", "both", 2, 3)
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


# -- What is not known ---------------------------------------------------------------------------


def test_unknown_types_are_named_and_the_rest_is_counted() -> None:
    cost = counted(
        image(1, 3, 8, 8)
        + conv("before", "data", 4, 3)
        + node("Permute", "theirs", "before")
        + conv("after", "theirs", 4, 3)
        + conv("beside", "before", 2, 1)
    )
    assert not cost.complete
    (notice,) = cost.notices
    assert notice.startswith("unknown type 'Permute', 1 of it, first layer 'theirs': not counted")
    assert {entry.name: entry.known for entry in cost.layers} == {
        **{"data": True, "before": True, "theirs": False, "after": False, "beside": True}
    }
    assert shapes(cost)["after"] is None
    assert cost.parameters == (4 * 27 + 4) + (2 * 4 + 2)


def test_a_python_layer_is_unknown_and_not_an_error() -> None:
    cost = counted(node("Python", "data", tops="data label") + conv("c", "data", 4, 3))
    assert not cost.complete
    assert shapes(cost) == {"data": None, "label": None, "c": None}


# -- Memory --------------------------------------------------------------------------------------


def towers(batch: int) -> str:
    """A little of everything that keeps memory, trained from constant data: no files."""
    filler = 'type: "gaussian" std: 1'
    source = f"""
      layer {{
        name: "data" type: "DummyData" top: "data" top: "label"
        dummy_data_param {{
          shape {{ dim: {batch} dim: 3 dim: 96 dim: 96 }} shape {{ dim: {batch} }}
          data_filler {{ {filler} }} data_filler {{ type: "constant" value: 1 }}
        }}
      }}"""
    body = normalised("conv1", "data", 48, 7, stride=2, pad=3) + node(
        "ReLU", "r1", "conv1", "conv1"
    )
    body += pool("pool1", "conv1", 3, 2) + node("LRN", "norm1", "pool1")
    body += normalised("a", "norm1", 48, 3, pad=1) + normalised("b", "a", 48, 1)
    body += node("Scale", "cross", "pool1") + node("Eltwise", "sum", "b pool1 cross")
    body += node("PReLU", "prelu", "sum", "sum") + node("Concat", "cat", "sum norm1")
    body += node("Dropout", "drop", "cat", "cat") + node(
        "Eltwise", "max", "sum b", params="eltwise_param { operation: MAX }"
    )
    body += pool("pool2", "cat", 2, 2, "AVE") + node("Flatten", "flat", "pool2")
    body += fc("fc1", "flat", 1024) + fc("fc2", "max", 8)
    losses = node("SoftmaxWithLoss", "loss1", "fc1 label") + node(
        "SoftmaxWithLoss", "loss2", "fc2 label"
    )
    xavier = 'weight_filler { type: "xavier" }'
    return source + re.sub(r"num_output: \d+", rf"\g<0> {xavier}", body) + losses


def resident(prototxt: str, folder: str) -> list[int]:
    """Bytes that a solver with this network adds to a process, trained; and then tested."""
    import caffe

    def anonymous() -> int:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(re.search(r"RssAnon:\s+(\d+)", status)[1])  # type: ignore[index]

    (Path(folder) / "net.prototxt").write_text(prototxt)
    solver = Path(folder) / "solver.prototxt"
    solver.write_text(
        f'train_net: "{folder}/net.prototxt" base_lr: 1e-6 lr_policy: "fixed" momentum: 0.9 '
        "max_iter: 9 solver_mode: CPU snapshot_after_train: false random_seed: 1"
    )
    caffe.set_mode_cpu()
    before = anonymous()
    training = caffe.SGDSolver(str(solver))
    training.step(2)
    trained = anonymous() - before
    return [trained]


@pytest.mark.parametrize("batch", [4, 24])
def test_memory_is_what_caffe_holds(batch: int, tmp_path: Path) -> None:
    cost = counted(towers(batch), "TRAIN")
    measured = in_caffe(resident, towers(batch), str(tmp_path)).value[0]
    assert cost.memory.total == pytest.approx(measured, rel=0.1)


def test_memory_at_another_batch_is_what_a_network_of_that_batch_holds() -> None:
    few, many = counted(towers(4), "TRAIN").memory, counted(towers(24), "TRAIN").memory
    assert few.at(24) == many.total
    assert many.at(4) == few.total
    assert few.per_image == many.per_image


def test_a_test_network_shares_its_parameters_with_the_training_network() -> None:
    net = (
        resnet50(batch=2, size=64)
        + image(2, name="label")
        + node("SoftmaxWithLoss", "l", "fc label")
    )
    train, test = counted(net, "TRAIN"), counted(net, "TEST")
    assert train.memory.fixed - test.memory.fixed > 2 * 4 * train.parameters
    assert test.memory.total - test.memory.beside(train.memory).total == 4 * test.parameters
    assert test.memory.total < train.memory.total / 2


def test_the_papers_network_takes_what_was_measured() -> None:
    from netgen.network.build import paper_prototxt

    net = parse_net(paper_prototxt("xs", "train_val").replace("batch_size: 3", "batch_size: 23"))
    size = {"data": (3, 224, 224)}
    train, test = count(net, "TRAIN", inputs=size), count(net, "TEST", inputs=size)
    gib = 2**30
    both = train.memory.total + test.memory.beside(train.memory).total
    # Measured of `caffe train`: 9.2 GiB; 9.99 with a test network at 3; 13.8 at 23.
    assert (train.memory.total + PROGRAM_BYTES) / gib == pytest.approx(9.2, rel=0.03)
    assert (both + PROGRAM_BYTES) / gib == pytest.approx(13.8, rel=0.03)
    with_3 = train.memory.total + test.memory.beside(train.memory).at(3)
    assert (with_3 + PROGRAM_BYTES) / gib == pytest.approx(9.99, rel=0.01)


def test_in_place_and_shared_blobs_are_one_activation() -> None:
    net = image(2, 3, 4, 4)
    alone = counted(net).activation_bytes
    assert alone == 4 * prod((2, 3, 4, 4))
    shared = net + node("ReLU", "r", "data", "data") + node("Flatten", "flat", "data")
    assert counted(shared).activation_bytes == alone
    assert counted(net + node("ReLU", "r", "data")).activation_bytes == 2 * alone


def test_what_no_loss_depends_on_has_no_gradient() -> None:
    net = image(2, 3, 32, 32) + conv("a", "data", 8, 3) + conv("b", "a", 8, 3)
    without = counted(net, "TRAIN").memory.batched
    loss = node("Reduction", "sum", "b", params="loss_weight: 1")
    sizes = [2 * 8 * 30 * 30, 2 * 8 * 28 * 28]
    assert counted(net + loss, "TRAIN").memory.batched - without == 4 * sum(sizes)


def test_a_blob_read_twice_has_a_gradient_a_reader_and_its_own() -> None:
    def batched(*readers: str) -> int:
        net = image(2, 3, 32, 32) + conv("a", "data", 8, 3)
        return counted(net + "".join(readers), "TRAIN").memory.batched

    size, loss = 4 * 2 * 8 * 30 * 30, "loss_weight: 1"
    once = batched(node("Reduction", "s", "a", params=loss))
    twice = batched(*(node("Reduction", name, "a", params=loss) for name in "st"))
    assert twice - once == 2 * size
    # The objective itself is a reader.
    weighted = conv("b", "a", 8, 1) + node("Reduction", "s", "b", params=loss)
    in_objective = weighted.replace('top: "b"', f'top: "b" {loss}')
    assert batched(in_objective) - batched(weighted) == 2 * size


# -- Absurd inputs -------------------------------------------------------------------------------


def absurd() -> Iterable[str]:
    largest = 2**31 - 1
    yield image(1, 1, 1, largest) + conv("c", "data", largest, 1)
    yield node("DummyData", "d", params=f"dummy_data_param {{ shape {{ {'dim: 1 ' * 40} }} }}")
    yield image(1, 1, 4, 4) + node(
        "SPP", "s", "data", params="spp_param { pyramid_height: 4000000000 }"
    )
    yield image(1, 1, 4, 4) + node("Tile", "t", "data", params=f"tile_param {{ tiles: {largest} }}")
    yield image(0, 0) + fc("fc", "data", 2**32 - 1) + fc("fc2", "fc", 2**32 - 1)
    yield image(1, 3, -4, 4)
    yield image(1, 1, 4, 4) + conv("c", "data", 1, 1, axis=-(2**31))


@pytest.mark.parametrize("prototxt", list(absurd()))
def test_absurd_sizes_are_refused_at_once(prototxt: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SchemaError, match="layer '"):
            counted(prototxt)


def test_blobs_of_no_images_are_counted_as_nothing() -> None:
    cost = counted(resnet50(batch=0, size=64), "TRAIN")
    assert cost.multiply_adds == 0
    assert cost.parameters == 25_610_269


def test_ten_thousand_layers_in_a_ring_are_refused_in_seconds() -> None:
    ring = [node("ReLU", f"r{i}", f"r{i - 1}") for i in range(1, 10_000)]
    with pytest.raises(SchemaError, match="form a cycle") as caught:
        counted(node("ReLU", "r0", "r9999") + "".join(ring))
    assert len(str(caught.value)) < 1000
