"""Files that are not what they are said to be: one clear message each, soon, in little memory."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest
from support.audit import SOLVER, XS, differing, shown
from support.paths import TESTS

from netgen.audit.inspection import InspectionFinding, inspect

FOLDER = TESTS / "bad_input/audit"
# The name's ending is the parameter of `inspect` that the file is given for.
CASES = sorted(path for path in FOLDER.iterdir() if path.suffix != ".txt")
SECONDS = 10
MEBIBYTES = 1024
DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } }\n'
IMAGE = DATA % "dim: 1 dim: 3 dim: 224 dim: 224"


def inspected(path: Path) -> list[InspectionFinding]:
    return inspect(**{path.suffix.removeprefix("."): path})  # type: ignore[arg-type]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_a_file_that_is_something_else_is_one_clear_error(path: Path) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        inspected(path)
    message = str(caught.value).replace(f"{FOLDER}/", "")
    expected = (FOLDER / f"{path.stem}.{path.suffix.removeprefix('.')}.txt").read_text("utf-8")
    assert message == expected.rstrip("\n")
    assert "\n" not in message


@pytest.mark.parametrize("kind", ["net", "solver"])
def test_a_hundred_megabytes_of_prototxt_are_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"large.{kind}"
    text = (XS if kind == "net" else SOLVER).read_bytes()
    path.write_bytes(text * (100 * 2**20 // len(text)))
    started = time.process_time()
    with pytest.raises(ValueError, match="text over 2 MB is not read"):
        inspected(path)
    assert time.process_time() - started < 1


def told(path: Path) -> str:
    """The error, or what does not fit."""
    try:
        return shown(inspected(path))
    except ValueError as error:
        return str(error)


def many(layer: str, count: int = 12_000) -> str:
    return "".join(layer.replace("#", str(index)) for index in range(count))


def chain_of_sums(count: int = 5_000) -> str:
    """Each sum adds another blob to the sum before it: together all terms but the first."""
    term = 'layer{{name:"r{0}" type:"Sigmoid" bottom:"data" top:"r{0}"}}\n'
    add = 'layer{{name:"s{0}" type:"Eltwise" bottom:"{1}" bottom:"r{0}" top:"s{0}"}}\n'
    before = ["data", *(f"s{index}" for index in range(count))]
    return "".join((term + add).format(index, before[index]) for index in range(count))


@pytest.mark.parametrize(
    "text",
    [
        IMAGE + many('layer{name:"r#" type:"ReLU" bottom:"data" top:"data"}\n'),
        IMAGE + many('layer{name:"r#" type:"ReLU" bottom:"data" top:"c#"}\n'),
        IMAGE + many('layer{name:"d#" type:"Dropout" bottom:"data" top:"data"}\n'),
        IMAGE + chain_of_sums(),
        IMAGE + many('layer{name:"t#" type:"TanH" bottom:"data" top:"data"}\n'),
        "layer {" * 50_000,
        "net_param {" * 50_000,
    ],
    ids=[
        "a chain",
        "a fan",
        "without effect",
        "a chain of sums",
        "a chain without use",
        "layers in layers",
        "unknown messages",
    ],
)
def test_a_megabyte_of_layers_takes_seconds_and_little_memory(text: str, tmp_path: Path) -> None:
    path = tmp_path / "large.net"
    path.write_text(text)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    assert f"{path}" in told(path)
    assert time.process_time() - started < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEBIBYTES * 1024


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (DATA % ("dim: 9223372036854775807 " * 4), "Caffe holds at most 2,147,483,647 elements"),
        (DATA % ("dim: 1 " * 40), "a blob of 40 axes; Caffe has at most 32"),
        (DATA % "dim: -1 dim: 3", "a negative size in -1 x 3"),
        (IMAGE + 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param'
         " { num_output: 4294967295 kernel_size: 7 } }", "Caffe holds at most"),
        (IMAGE + 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param'
         " { num_output: 4 kernel_size: 4294967295 } }", "is too large for 224 elements"),
    ],
)  # fmt: skip
def test_absurd_shapes_are_told_as_what_caffe_would_refuse(
    text: str, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "absurd.net"
    path.write_text(text + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }')
    found = differing(inspected(path))
    assert any("Caffe would refuse it" in f.what and what in f.what for f in found), shown(found)


def test_unknown_layer_types_are_named_and_carried_on_from(tmp_path: Path) -> None:
    path = tmp_path / "unknown.net"
    path.write_text(IMAGE + many('layer{name:"m#" type:"Magic#" bottom:"data" top:"c#"}\n', 50))
    found = inspected(path)
    assert any("type 'Magic0'" in finding.what for finding in found), shown(found)
