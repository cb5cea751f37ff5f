"""Reading Caffe's files: what comes in well, and what is said of what does not."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from support.build_command import program
from support.caffe_child import in_caffe
from support.paths import ZOO

from netgen.caffe import caffe_pb2
from netgen.caffe.caffe_pb2 import (
    LayerParameter,
    NetParameter,
    SolverState,
    V1LayerParameter,
)
from netgen.caffe.schema import (
    SchemaError,
    SchemaWarning,
    layers_in,
    parse_net,
    parse_solver,
    read_caffemodel,
    read_net,
    read_solver,
)
from netgen.system.text import REFUSED

STATE = SolverState(iter=5, learned_net="x.caffemodel")
STATE.history.add(data=[0.5], shape={"dim": [1]})
RELU = 'layer { name: "relu" type: "ReLU" bottom: "data" top: "relu" }'

# What a name may hold: `netgen.system.text.check_name` refuses the rest.
names = st.text(min_size=1, max_size=8).filter(lambda name: not REFUSED.search(name))
layers = st.builds(
    LayerParameter,
    name=names,
    type=names,
    bottom=st.lists(names, max_size=3),
    top=st.lists(names, max_size=3),
    loss_weight=st.lists(st.floats(width=32, allow_nan=False), max_size=2),
    convolution_param=st.builds(
        caffe_pb2.ConvolutionParameter,
        num_output=st.integers(0, 2**32 - 1),
        kernel_size=st.lists(st.integers(0, 2**32 - 1), max_size=3),
        bias_term=st.booleans(),
        axis=st.integers(-(2**31), 2**31 - 1),
    ),
    include=st.lists(st.builds(caffe_pb2.NetStateRule, stage=st.lists(names)), max_size=2),
)


@given(st.lists(layers, min_size=1, max_size=3))
def test_a_network_written_and_read_again_is_the_same(made: list[LayerParameter]) -> None:
    net = NetParameter(name="net", layer=made)
    assert parse_net(text_format.MessageToString(net)) == net


def test_a_solver_of_2014_gets_its_type_by_name() -> None:
    solver = parse_solver('net: "net.prototxt" solver_type: NESTEROV')
    assert solver.type == "Nesterov"
    assert not solver.HasField("solver_type")
    assert parse_solver('net: "net.prototxt"').type == "SGD"


def test_a_solver_with_both_kinds_of_type_is_refused() -> None:
    with pytest.raises(SchemaError, match="keep `type`"):
        parse_solver('net: "net.prototxt" solver_type: ADAM type: "Adam"')


def test_a_network_given_as_a_solver_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(RELU)
    with (
        pytest.warns(SchemaWarning, match=r"SolverParameter\.layer \(line 1\)"),
        pytest.raises(SchemaError, match="names no network: a solver needs one of net"),
    ):
        read_solver(tmp_path / "net.prototxt")


def test_a_command_prints_the_warning_as_a_note_without_python(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(RELU)
    result = program(arguments=("train", "--solver", "net.prototxt"), folder=tmp_path)
    note, error = result.stderr.splitlines()
    assert note.startswith("note: net.prototxt: omitted what netgen's schema does not have:")
    assert error.startswith("Error: net.prototxt: names no network")


def test_layers_of_2014_become_todays() -> None:
    net = parse_net("""
        layers {
          name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
          param: "shared" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
          blob_share_mode: PERMISSIVE
          convolution_param { num_output: 3 kernel_size: 5 }
          include { phase: TRAIN }
        }
        layers { name: "loss" type: SOFTMAX_LOSS bottom: "conv" bottom: "label" loss_weight: 2 }
    """)
    assert net == parse_net("""
        layer {
          name: "conv" type: "Convolution" bottom: "data" top: "conv"
          param { name: "shared" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 1 }
          param { lr_mult: 2 decay_mult: 0 }
          convolution_param { num_output: 3 kernel_size: 5 }
          include { phase: TRAIN }
        }
        layer {
          name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label" loss_weight: 2
        }
    """)


def test_what_layers_of_2014_do_to_images_moves_to_transform_param() -> None:
    net = parse_net("""
        layers {
          name: "data" type: DATA top: "data"
          data_param { source: "db" batch_size: 4 crop_size: 227 mirror: true mean_file: "mean" }
        }
    """)
    transform, data = net.layer[0].transform_param, net.layer[0].data_param
    assert (transform.crop_size, transform.mirror, transform.mean_file) == (227, True, "mean")
    assert not data.HasField("crop_size")
    assert data.batch_size == 4


@pytest.mark.parametrize(
    ("fields", "shapes"),
    [
        ("input_dim: 1 input_dim: 3 input_dim: 5 input_dim: 7", [[1, 3, 5, 7]]),
        ("input_shape { dim: 2 dim: 4 }", [[2, 4]]),
    ],
)
def test_inputs_of_old_become_a_layer_at_the_front(fields: str, shapes: list[list[int]]) -> None:
    net = parse_net(f'input: "data" {fields} {RELU}')
    assert [layer.type for layer in net.layer] == ["Input", "ReLU"]
    assert list(net.layer[0].top) == ["data"]
    assert [list(shape.dim) for shape in net.layer[0].input_param.shape] == shapes
    assert not net.input


def test_every_layer_type_of_2014_has_todays_name() -> None:
    # Whatever netgen counts today under a name of 2014, it must find under today's.
    from netgen.caffe.legacy import type_name
    from netgen.cost.layers.layer_types import RULES
    from netgen.cost.layers.sources import OPEN_ENDED

    known = RULES.keys() | OPEN_ENDED
    types = [value.number for value in V1LayerParameter.LayerType.DESCRIPTOR.values]
    assert {type_name(number) for number in types} - known == {""}
    assert len({type_name(number) for number in types}) == len(types)


@pytest.mark.parametrize(
    ("rules", "state", "there"),
    [
        ("", {"phase": "TRAIN"}, True),
        ("include { phase: TRAIN }", {"phase": "TRAIN"}, True),
        ("include { phase: TRAIN }", {"phase": "TEST"}, False),
        ("exclude { phase: TRAIN }", {"phase": "TRAIN"}, False),
        ("exclude { phase: TRAIN }", {"phase": "TEST"}, True),
        ("include { phase: TRAIN } include { phase: TEST }", {"phase": "TEST"}, True),
        ("include { stage: 'a' }", {"phase": "TEST"}, False),
        ("include { stage: 'a' stage: 'b' }", {"phase": "TEST", "stages": ["a"]}, False),
        ("include { stage: 'a' stage: 'b' }", {"phase": "TEST", "stages": ["b", "a"]}, True),
        ("include { not_stage: 'a' }", {"phase": "TEST", "stages": ["a"]}, False),
        ("include { not_stage: 'a' }", {"phase": "TEST", "stages": ["b"]}, True),
        ("include { min_level: 1 }", {"phase": "TEST"}, False),
        ("include { min_level: 1 }", {"phase": "TEST", "level": 1}, True),
        ("include { max_level: 1 }", {"phase": "TEST", "level": 2}, False),
        ("exclude { phase: TEST stage: 'a' }", {"phase": "TEST"}, True),
        ("exclude { phase: TEST } exclude { stage: 'a' }", {"phase": "TEST"}, False),
    ],
)
def test_rules_decide_which_layers_exist(rules: str, state: dict[str, object], there: bool) -> None:
    net = parse_net(f'layer {{ name: "relu" type: "ReLU" {rules} }}')
    assert bool(layers_in(net, **state)) is there  # type: ignore[arg-type]


def test_a_networks_own_state_counts_beside_the_callers() -> None:
    rule = "include { stage: 'a' min_level: 3 }"
    net = parse_net(f"state {{ stage: 'a' level: 3 }} {RELU[:-1]} {rule} }}")
    assert layers_in(net, "TRAIN")
    assert layers_in(net, "TRAIN", stages=["b"])
    assert not layers_in(net, "TRAIN", level=2)


def test_fields_of_other_caffes_are_left_out_and_named() -> None:
    prototxt = """
        layer {
          name: "conv" type: "Convolution"  # layer { inside: "a comment" }
          convolution_param { num_output: 8 blocks_per_row: 3 note: "not: a field {" }
          permute_param { order: 0 order { deep: 1 } }
          spatial_dropout_param < ratio: 0.5 >
        }
        quantised: true
    """
    with pytest.warns(SchemaWarning) as caught:
        net = parse_net(prototxt, "their.prototxt")
    assert net.layer[0].convolution_param.num_output == 8
    assert str(caught[0].message) == (
        "their.prototxt: omitted what netgen's schema does not have: "
        "ConvolutionParameter.blocks_per_row (line 4), ConvolutionParameter.note (line 4), "
        "LayerParameter.permute_param (line 5, of SSD), "
        "LayerParameter.spatial_dropout_param (line 6), "
        "NetParameter.quantised (line 8)"
    )


def test_a_known_network_is_read_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_net(ZOO).layer


def test_text_of_100_mb_is_refused_unread(tmp_path: Path) -> None:
    huge = tmp_path / "huge.prototxt"
    with huge.open("wb") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(SchemaError, match=r"huge\.prototxt: 100 MB, .* over 2 MB is not read"):
        read_net(huge)


@pytest.mark.parametrize("unit", ["a", "x:1 ", "x{", '"', "layer{x:1} y", "[", "<", "# \r"])
def test_absurd_text_takes_seconds_and_a_short_message_at_most(unit: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SchemaWarning)
        with pytest.raises(SchemaError) as caught:
            parse_net(unit * (200_000 // len(unit)))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("read", [read_net, read_solver, read_caffemodel])
def test_what_cannot_be_opened_is_said_so(read: object, tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(SchemaError, match=r"(No such file|Is a directory).*: check the path"):
            read(path)  # type: ignore[operator]


def test_a_caffemodel_is_read_with_its_weights(tmp_path: Path) -> None:
    net = NetParameter(name="weights")
    old = net.layers.add(name="fc", type=V1LayerParameter.INNER_PRODUCT)
    old.blobs.add(data=[1, 2, 3], num=1, channels=1, height=1, width=3)
    (tmp_path / "net.caffemodel").write_bytes(net.SerializeToString())
    layer = read_caffemodel(tmp_path / "net.caffemodel").layer[0]
    assert (layer.name, layer.type) == ("fc", "InnerProduct")
    assert list(layer.blobs[0].data) == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no layers in it"),
        (b"\xff\xd8\xff\xe0 JFIF", "a JPEG image, not a readable caffemodel"),
        (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file, not a readable caffemodel"),
        (STATE.SerializeToString(), "a solverstate, not a readable .*: name the .caffemodel"),
        (RELU.encode(), "damaged or truncated, not a readable caffemodel"),
    ],
)
def test_what_is_no_caffemodel_is_said_so(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "net.caffemodel").write_bytes(content)
    with pytest.raises(SchemaError, match=message):
        read_caffemodel(tmp_path / "net.caffemodel")


def test_a_caffemodel_cut_anywhere_in_a_layer_is_refused(tmp_path: Path) -> None:
    net = NetParameter(name="weights")
    net.layer.add(name="fc", type="InnerProduct").blobs.add(data=range(100))
    whole = net.SerializeToString()
    for size in range(whole.index(b"fc"), len(whole)):
        (tmp_path / "cut.caffemodel").write_bytes(whole[:size])
        with pytest.raises(SchemaError, match="damaged or truncated"):
            read_caffemodel(tmp_path / "cut.caffemodel")


def read_by_both(prototxt: str) -> tuple[bytes, bytes]:
    from caffe.proto import caffe_pb2 as theirs

    from netgen.caffe.caffe_pb2 import NetParameter as Ours

    net = theirs.NetParameter()
    text_format.Parse(prototxt, net)
    ours = parse_net(prototxt)
    again = theirs.NetParameter()
    again.ParseFromString(ours.SerializeToString())
    assert Ours.FromString(net.SerializeToString()) == ours
    return net.SerializeToString(deterministic=True), again.SerializeToString(deterministic=True)


def test_our_schema_and_pycaffes_live_in_one_process_and_agree() -> None:
    prototxt = ZOO.read_text()
    theirs, through_ours = in_caffe(read_by_both, prototxt).value
    assert theirs == through_ours


def compared_schemas() -> list[str]:
    from caffe.proto import caffe_pb2 as theirs

    # What BVLC 1.0 has and the Caffe of 2016 has not, or has otherwise.
    later = {
        *("ClipParameter", "SwishParameter"),
        *("LayerParameter.clip_param", "LayerParameter.swish_param"),
        *("PoolingParameter.round_mode", "InfogainLossParameter.axis"),
        *("SolverParameter.weights", "SolverParameter.layer_wise_reduce"),
        *("ConvolutionParameter.stride_h", "ConvolutionParameter.stride_w"),  # without a default
    }
    return [
        difference
        for name, message in caffe_pb2.DESCRIPTOR.message_types_by_name.items()
        for difference in differences(message, theirs.DESCRIPTOR.message_types_by_name.get(name))
        if difference not in later
    ]


def differences(ours: object, theirs: object) -> list[str]:
    def facts(field: object) -> tuple[object, ...]:
        kinds = field.message_type or field.enum_type  # type: ignore[attr-defined]
        return (
            field.number,  # type: ignore[attr-defined]
            field.type,  # type: ignore[attr-defined]
            field.is_repeated,  # type: ignore[attr-defined]
            field.default_value,  # type: ignore[attr-defined]
            kinds.name if kinds else None,
            [(v.name, v.number) for v in sorted(field.enum_type.values, key=lambda v: v.number)]  # type: ignore[attr-defined]
            if field.enum_type  # type: ignore[attr-defined]
            else None,
        )

    if theirs is None:
        return [ours.name]  # type: ignore[attr-defined]
    known = theirs.fields_by_name  # type: ignore[attr-defined]
    return [
        f"{ours.name}.{field.name}"  # type: ignore[attr-defined]
        for field in ours.fields  # type: ignore[attr-defined]
        if field.name not in known or facts(field) != facts(known[field.name])
    ]


def test_every_field_is_as_caffe_defines_it() -> None:
    assert in_caffe(compared_schemas).value == []
