"""`netgen init --from` ONNX files that are well-formed and wrong: one clear line, no weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.foreign import (
    KERAS_MEAN,
    NETWORK,
    Manner,
    build_for,
    numbers,
    onnx_model,
)
from support.initial_weights import init, layers_of, refused

from netgen.weights.incoming.recognize import read_source
from netgen.weights.incoming.units import Foreign, Style

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


# ---- ONNX ---------------------------------------------------------------------------------------


def refuse_onnx(change: Callable[[onnx.ModelProto], object], *options: object) -> str:
    """Start from an ONNX file, changed."""
    model = onnx_model(numbers(), Manner())
    change(model)
    return refuse(model.SerializeToString(), *(options or CAFFE))


def within(model: onnx.ModelProto) -> onnx.TensorProto:
    """The first kernel of 3 x 3."""
    return next(each for each in model.graph.initializer if list(each.dims) == [4, 4, 3, 3])


def made_by(model: onnx.ModelProto, operator: str, place: int = 0) -> onnx.NodeProto:
    """The node of that place among those of an operator."""
    return [node for node in model.graph.node if node.op_type == operator][place]


def replace(model: onnx.ModelProto, old: str, new: str) -> None:
    """Let all that reads a tensor read another one."""
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (onnx.TensorProto.INT4, "whole numbers (int4), as of a quantised network"),
        (onnx.TensorProto.FLOAT8E4M3FN, "float8_e4m3fn, where a network's weights are floats"),
    ],
)
def test_numbers_of_few_bits_are_refused(kind: int, told: str) -> None:
    def quantise(model: onnx.ModelProto) -> None:
        tensor = within(model)
        ones = helper.make_tensor(tensor.name, kind, tensor.dims, np.ones(144))
        tensor.CopyFrom(ones)

    assert told in refuse_onnx(quantise)


def test_a_negative_side_is_damage() -> None:
    def change(model: onnx.ModelProto) -> None:
        within(model).dims[0] = -1

    assert "damaged: a shape of -1 x 4 x 3 x 3" in refuse_onnx(change)


def test_numbers_that_are_stored_twice_are_refused() -> None:
    def double(model: onnx.ModelProto) -> None:
        other = numpy_helper.from_array(np.ones((4, 4, 3, 3), np.float32), within(model).name)
        model.graph.initializer.append(other)

    assert "tensors that are made twice: n15" in refuse_onnx(double)


def test_a_graph_that_goes_in_a_circle_ends() -> None:
    def of_blocks(model: onnx.ModelProto) -> None:
        last, start = made_by(model, "Add").output[0], made_by(model, "MaxPool").output[0]
        block = next(node for node in model.graph.node if last in node.input)
        for node in [node for node in model.graph.node if block.output[0] in node.input]:
            model.graph.node.remove(node)
        block.output[0] = start

    def of_a_head(model: onnx.ModelProto) -> None:
        flat = made_by(model, "Flatten")
        flat.input.append(made_by(model, "Gemm").output[0])

    assert "tensors that are made twice" in refuse_onnx(of_blocks)
    assert "which is made after it: a cycle, or damaged" in refuse_onnx(of_a_head)


@pytest.mark.parametrize("field", ["output", "input"])
def test_operators_without_ends_are_damage(field: str) -> None:
    def cut(model: onnx.ModelProto) -> None:
        made_by(model, "MaxPool").ClearField(field)

    assert "MaxPool '' lacks inputs or outputs" in refuse_onnx(cut)


@pytest.mark.parametrize("operator", ["MaxPool", "Relu"])
def test_axes_that_change_places_are_another_network(operator: str) -> None:
    def turn(model: onnx.ModelProto) -> None:
        node = made_by(model, operator)
        read = node.input[0]
        node.input[0] = "turned"
        place = list(model.graph.node).index(node)
        turned = helper.make_node("Transpose", [read], ["turned"], perm=[0, 1, 3, 2])
        model.graph.node.insert(place, turned)

    told = refuse_onnx(turn)
    assert "Transpose 'turned' of axes [0, 1, 3, 2]: only channels may move" in told


def test_weights_that_the_graph_transposes_are_taken_transposed() -> None:
    model = onnx_model(numbers(), Manner())
    tensor = within(model)
    stored = numpy_helper.to_array(tensor)
    replace(model, tensor.name, "transposed")
    turned = helper.make_node("Transpose", [tensor.name], ["transposed"], perm=[1, 0, 3, 2])
    model.graph.node.insert(0, turned)
    build_for(KERAS_MEAN)
    Path("other.onnx").write_bytes(model.SerializeToString())
    init(*FROM, "other.onnx", *CAFFE)
    made = layers_of(Path(NETWORK) / "initial.caffemodel")["res2a_branch2b"].blobs[0]
    assert np.array_equal(made, stored.transpose(1, 0, 3, 2))


def test_padding_with_what_the_graph_computes_is_refused() -> None:
    def pad(model: onnx.ModelProto) -> None:
        place = numpy_helper.from_array(np.array([0, 0, 3, 3, 0, 0, 3, 3]), "places")
        value = numpy_helper.from_array(np.array(7, np.float32), "seven")
        model.graph.initializer.extend([place, value])
        first = model.graph.node[0]
        first.input[0] = "padded"
        next(each for each in first.attribute if each.name == "pads").ints[:] = [0] * 4
        computed = helper.make_node("Relu", ["seven"], ["value"])
        padding = helper.make_node("Pad", ["image", "places", "value"], ["padded"], name="pad")
        model.graph.node.insert(0, padding)
        model.graph.node.insert(0, computed)

    assert "Pad 'pad': its input 2 ('value') is computed by the graph" in refuse_onnx(pad)


@pytest.mark.parametrize(
    "said", ['{"mean": "123"}', '{"mean": [1e999, 1, 2]}', '{"mean": [true, 1, 2]}', "[" * 10**5]
)
def test_a_mean_that_is_none_is_not_taken(said: str) -> None:
    def say(model: onnx.ModelProto) -> None:
        model.metadata_props.add(key="netgen", value=said)

    told = refuse_onnx(say, "--layers")
    assert "its metadata say no mean, as netgen's do: give --style" in told


def test_a_mean_of_other_colours_is_not_taken() -> None:
    def say(model: onnx.ModelProto) -> None:
        model.metadata_props.add(key="netgen", value='{"mean": [1, 2]}')

    told = refuse_onnx(say, "--layers")
    assert "its first convolution reads 3 colours, but its pixels have 2 means" in told


def test_names_in_a_graph_stay_in_one_line() -> None:
    def name(model: onnx.ModelProto) -> None:
        model.producer_name = "a\nError: done"

    def operate(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("X\nError: done", ["image"], ["x"]))

    assert r"the name 'a\nError: done' has characters" in refuse_onnx(name)
    assert r"operators that no ResNet-50 has: X\nError: done" in refuse_onnx(operate)


@pytest.mark.parametrize("gain", [2.0, 1.0])
def test_a_classifier_is_taken_with_its_gain(gain: float) -> None:
    model = onnx_model(numbers(), Manner())
    head = made_by(model, "Gemm")
    head.attribute.append(helper.make_attribute("alpha", gain))
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    build_for(KERAS_MEAN)
    Path("other.onnx").write_bytes(model.SerializeToString())
    read = read_source("other.onnx", Style.CAFFE)
    assert isinstance(read, Foreign)
    assert read.classifier is not None
    assert np.array_equal(read.classifier.weights, gain * stored[head.input[1]])
