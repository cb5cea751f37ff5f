"""`netgen count` from outside: what it prints, and what it says of files it cannot count."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.paths import TESTS, ZOO

from netgen.commands.cli import main

BAD_INPUT = TESTS / "bad_input" / "count"
TABLE_2 = {
    "x0": 43_159_431,
    "x1": 43_159_431,
    "xs": 43_184_007,
    "resnet50-noun": 23_903_452,
    "resnet50-adj": 23_801_002,
    "resnet50-anp": 24_694_366,
}
NET = """
name: "two_heads"
layer { name: "data" type: "Data" top: "data" data_param { source: "nowhere" batch_size: 4 } }
layer { name: "label" type: "Data" top: "label" data_param { source: "nowhere" batch_size: 4 } }
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 stride: 2 }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer {
  name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 5 }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["count", *map(str, arguments)])


def counted(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.output))


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return path


def test_the_table_has_the_counts_in_full_and_short(net: Path) -> None:
    result = run(net, "--input", "data=3x9x9")
    assert result.exit_code == 0
    parameters = 8 * 27 + 8 + 5 * 8 * 4 * 4 + 5
    work = 8 * 27 * 4 * 4 + 5 * 8 * 4 * 4
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert lines[0] == "two_heads, TRAIN, batch 4"
    assert f"parameters {parameters:,} 0.00 M all blobs" in lines
    assert f"multiply-adds {4 * work:,} 0.02 M one each; the whole batch" in lines
    assert f"per image {work:,} 0.00 M Convolution, InnerProduct" in lines
    assert "note:" not in result.output


@pytest.mark.parametrize(("variant", "parameters"), TABLE_2.items())
def test_table_2s_networks_have_its_parameters(variant: str, parameters: int) -> None:
    result = run("--variant", variant)
    assert result.exit_code == 0
    assert f"{parameters:,}" in result.output
    assert f"{parameters / 1e6:.2f} M" in result.output
    assert "note:" not in result.output
    assert counted("--variant", variant, "--phase", "test")["parameters"] == parameters


def test_json_has_all_that_the_table_has_and_shapes(net: Path) -> None:
    cost = counted(net, "--input", "data=3x9x9")
    layers = {layer["name"]: layer for layer in cost["layers"]}
    assert layers["conv"]["tops"] == [{"name": "conv", "shape": [4, 8, 4, 4]}]
    assert layers["conv"]["blobs"] == [[8, 3, 3, 3], [8]]
    assert layers["label"]["tops"][0]["shape"] == [4, 1, 1, 1]
    assert cost["multiply_adds"] == 4 * cost["multiply_adds_per_image"]
    assert cost["memory_bytes"] == cost["memory"]["fixed"] + cost["memory"]["batched"]
    assert cost["process_bytes"] > cost["memory_bytes"] > cost["activation_bytes"] > 0
    assert (cost["complete"], cost["notices"]) == (True, [])


def test_json_says_what_each_layer_reads_who_reads_it_and_what_it_keeps(net: Path) -> None:
    cost = counted(net, "--input", "data=3x9x9")
    layers = {layer["name"]: layer for layer in cost["layers"]}
    assert layers["fc"]["bottoms"] == layers["conv"]["tops"]
    # The ReLU overwrites what the convolution made: whoever comes later reads the ReLU.
    assert layers["conv"]["readers"] == ["relu"]
    assert layers["relu"]["readers"] == ["fc"]
    assert (layers["label"]["readers"], layers["loss"]["readers"]) == (["loss"], [])
    assert layers["conv"]["activation_bytes"] == 4 * (4 * 8 * 4 * 4)
    assert layers["relu"]["activation_bytes"] == 0
    of_layers = sum(layer["activation_bytes"] for layer in cost["layers"])
    assert of_layers == cost["activation_bytes"]


def test_a_row_a_layer_tells_its_shapes_and_costs(net: Path) -> None:
    lines = run(net, "--layers", "--input", "data=3x9x9").output.splitlines()
    assert lines[0].split() == ["layer", "type", "tops", "parameters", "multiply-adds", "buffers"]
    assert lines[3].split()[:5] == ["conv", "Convolution", "conv", "4x8x4x4", "224"]
    assert len([line for line in lines if line.startswith(("conv", "relu", "fc", "loss"))]) == 4


def test_a_phase_is_chosen_by_what_the_network_is(net: Path) -> None:
    assert counted(net)["phase"] == "TRAIN"
    assert counted(net, "--phase", "test")["phase"] == "TEST"
    assert counted(net, "--phase", "test")["memory_bytes"] < counted(net)["memory_bytes"]


def test_a_network_without_a_loss_is_counted_as_it_is_deployed(tmp_path: Path) -> None:
    deploy = tmp_path / "deploy.prototxt"
    deploy.write_text('input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8')
    assert run(deploy).exit_code == 0
    assert counted(deploy)["phase"] == "TEST"


def test_an_assumed_shape_is_told_first_in_the_table_and_in_json(net: Path) -> None:
    note = "blob 'data' is ASSUMED to be 3 x 224 x 224 per image"
    for more in ([], ["--layers"]):
        printed = run(net, *more).output
        assert printed.splitlines()[0].startswith(f"note: {note}")
        assert printed.count(note) == 1
    assert counted(net)["assumed"] == counted(net)["notices"]
    assert counted(net)["notices"][0].startswith(note)
    assert next(iter(counted(net))) == "assumed"
    assert counted(net, "--input", "data=3x9x9")["assumed"] == []


def test_an_error_that_follows_from_an_assumed_shape_says_what_was_assumed(net: Path) -> None:
    large = NET.replace("kernel_size: 3", "kernel_size: 300")
    net.write_text(large)
    result = run(net)
    assert result.exit_code == 1
    assert "layer 'conv' (Convolution): a kernel of 300 is too large" in result.output
    assert "blob 'data' is ASSUMED to be 3 x 224 x 224" in result.output
    assert "--input data=CxHxW" in result.output
    assert "ASSUMED" not in run(net, "--input", "data=3x9x9").output


PAIR = """
layer { name: "pair" type: "Data" top: "pair" data_param { source: "nowhere" batch_size: 4 } }
layer {
  name: "slice" type: "Slice" bottom: "pair" top: "left" top: "right"
  slice_param { slice_point: 1 }
}
""" + "".join(
    f'''
layer {{
  name: "{side}" type: "Convolution" bottom: "{side}" top: "conv_{side}" param {{ name: "w" }}
  convolution_param {{ num_output: 8 kernel_size: 3 }}
}}
'''
    for side in ("left", "right")
)


def test_shared_weights_that_do_not_fit_an_assumed_shape_say_so_too(net: Path) -> None:
    # As in Caffe's example of a Siamese network: a record of one has two images of one channel.
    net.write_text(PAIR)
    result = run(net)
    assert result.exit_code == 1
    assert "layer 'right' (Convolution): shares parameter 'w' of 8 x 1 x 3 x 3" in result.output
    assert "blob 'pair' is ASSUMED to be 3 x 224 x 224" in result.output
    assert run(net, "--input", "pair=2x9x9").exit_code == 0


def test_vectors_have_a_size_too(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(
        re.sub(r"layer \{\n  name: \"conv\".*?\n\}\n", "", NET, flags=re.S).replace("conv", "data")
    )
    assert not counted(net)["complete"]
    cost = counted(net, "--input", "data=12")
    assert cost["parameters"] == 5 * 12 + 5
    assert cost["layers"][0]["tops"][0]["shape"] == [4, 12, 1, 1]


IN_STAGES = """
layer {
  name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
}
layer {
  name: "small" type: "InnerProduct" bottom: "data" top: "small"
  inner_product_param { num_output: 2 } include { not_stage: "large" }
}
layer {
  name: "large" type: "InnerProduct" bottom: "data" top: "large"
  inner_product_param { num_output: 7 } include { stage: "large" }
}
layer {
  name: "deep" type: "InnerProduct" bottom: "data" top: "deep"
  inner_product_param { num_output: 9 } include { min_level: 2 }
}
"""


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["data", "small"]),
        (["--stage", "large"], ["data", "large"]),
        (["--stage", "other", "--stage", "large", "--level", "2"], ["data", "large", "deep"]),
        (["--level", "1"], ["data", "small"]),
        (["--level", "-3"], ["data", "small"]),
    ],
)
def test_stages_and_levels_select_layers(
    options: Sequence[str], names: Sequence[str], tmp_path: Path
) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(IN_STAGES)
    assert [layer["name"] for layer in counted(net, *options)["layers"]] == names


def test_a_stage_decides_the_phase_too(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(NET.replace('top: "loss" }', 'top: "loss" include { stage: "learn" } }'))
    assert counted(net)["phase"] == "TEST"
    assert counted(net, "--stage", "learn")["phase"] == "TRAIN"


def test_fields_of_known_branches_are_named_as_theirs(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    pool = 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { %s } }'
    pool = pool % "kernel_size: 2 stride: 2 ceil_mode: false"
    forked = NET.replace("batch_size: 4", "batch_size: 4 threads: 2", 1)
    forked = forked.replace("kernel_size: 3", "kernel_size: 3 hole: 2")
    net.write_text(f"{forked}{pool}")
    (note,) = [line for line in run(net).output.splitlines() if "schema does not have" in line]
    assert "DataParameter.threads (line 3, of NVCaffe)" in note
    assert "ConvolutionParameter.hole (line 7, of DeepLab: here `dilation`)" in note
    assert "ceil_mode (line 15, of BVLC's pull request 3057: here `round_mode`)" in note


def test_what_is_left_out_is_told_and_the_numbers_say_at_least(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.prototxt"
    foreign.write_text(
        NET.replace("stride: 2", "stride: 2 sparsity: 0.5").replace('"ReLU"', '"TheirReLU"')
    )
    result = run(foreign)
    assert result.exit_code == 0
    assert "note: " in result.output
    assert "ConvolutionParameter.sparsity (line 7)" in result.output
    assert "unknown type 'TheirReLU', 1 of it, first layer 'relu'" in result.output
    assert "at least 224" in result.output
    assert not counted(foreign)["complete"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["{net}", "--variant", "xs"],
        ["{net}", "--phase", "validation"],
        ["{net}", "--input", "data=3x"],
        ["{net}", "--input", "data="],
        ["{net}", "--level", "high"],
        ["{net}", "--level", "4294967296"],
        ["{net}", "--input", "data=3x0x9"],
        ["{net}", "--input", "3x9x9"],
        ["{net}", "{net}"],
    ],
)
def test_wrong_usage_ends_with_2_and_a_hint(arguments: Sequence[str], net: Path) -> None:
    result = run(*(argument.format(net=net) for argument in arguments))
    assert result.exit_code == 2
    assert "Usage: " in result.output
    assert "Error: " in result.output


@pytest.mark.parametrize(
    "arguments",
    [["--variant", "x2"], ["{net}", "--input", "date=3x9x9"], ["missing.prototxt"], ["."]],
)
def test_what_cannot_be_counted_ends_in_one_message(arguments: Sequence[str], net: Path) -> None:
    result = run(*(argument.format(net=net) for argument in arguments))
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert result.output.strip().splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("mistake", sorted(path.stem for path in BAD_INPUT.glob("*.prototxt")))
def test_each_mistake_has_its_message(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD_INPUT)
    result = run(f"{mistake}.prototxt")
    assert result.exit_code == 1
    assert result.output == (BAD_INPUT / f"{mistake}.txt").read_text()
    assert isinstance(result.exception, SystemExit)


def python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_piped_rows_are_neither_folded_nor_coloured() -> None:
    piped = python(
        "import sys; from netgen.commands.cli import main;"
        f"sys.argv[1:] = ['count', {str(ZOO)!r}, '--layers']; main()"
    )
    rows = [line for line in piped.splitlines() if line.startswith("conv_two")]
    assert [row.count("2x3x13x11") for row in rows] == [2]
    assert "\x1b" not in piped


def test_counting_loads_neither_numpy_nor_rich_nor_lmdb() -> None:
    loaded = python(
        "import sys, netgen.cost.complexity, netgen.caffe.schema, netgen.commands.count;"
        "print(sorted({'numpy', 'rich', 'lmdb', 'cv2', 'jinja2'} & sys.modules.keys()))"
    )
    assert loaded.strip() == "[]"


def test_a_batch_is_told_where_the_size_of_its_images_is_not(tmp_path: Path) -> None:
    unsized = tmp_path / "unsized.prototxt"
    unsized.write_text(
        'name: "unsized" layer { name: "d" type: "HDF5Data" top: "d" '
        'hdf5_data_param { source: "nowhere" batch_size: 7 } }'
    )
    assert run(unsized).output.splitlines()[0] == "unsized, TEST, batch 7"
