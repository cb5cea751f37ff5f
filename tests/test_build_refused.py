"""`netgen build` on wrong usage: one message, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from support.build_command import NARROW, refused, tree
from support.networks import VARIANTS

from netgen.network.architecture import MOST_TASKS, network
from netgen.network.dataset import MTVSO, Task
from netgen.network.variants import UnsuitedError, find

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--variant x2", f"variant 'x2': choose from {', '.join(VARIANTS)} (`netgen list`)"),
        ("--variant XS", "unknown variant 'XS': choose from deepsentibank"),
        ("", "give --variant NAME (from `netgen list`) or --all"),
        ("--all --variant xs", "give --variant NAME (from `netgen list`) or --all"),
        ("--variant xs --blocks 3,4", "'3,4' is not four numbers of blocks, such as 3,4,6,3"),
        ("--variant xs --blocks 3,4,6,0", "'3,4,6,0' is not four numbers of blocks"),
        ("--variant xs --blocks 3,4,6,x", "'3,4,6,x' is not four numbers of blocks"),
        ("--variant xs --width 0", "'0' is not one width, such as 16, or those of the first"),
        ("--variant xs --width 64,32,16", "'64,32,16' is not one width, such as 16, or those of"),
        ("--variant xs --width wide", "'wide' is not one width, such as 16, or those of the first"),
        ("--variant xs --width 99999999999", "is not one width, such as 16, or those of the first"),
        ("--variant xs --batch-size 2.5", "'2.5' is not a valid integer"),
        ("--variant xs --base-lr -1", "-1.0 is not in the range"),
        ("--variant xs --base-lr nan", "'nan' is not a number"),
        ("--variant xs --memory inf", "inf is not in the range"),
        ("--variant xs --moving-average 2", "2.0 is not in the range"),
        ("--variant xs --max-iter 99999999999", "99999999999 is not in the range"),
        ("--variant xs --random-seed 99999999999999999999", "is not in the range"),
        ("--variant xs --stem tiny", "'tiny' is not one of 'imagenet', 'small'"),
        ("--variant xs --solver-mode tpu", "'tpu' is not one of 'cpu', 'gpu'"),
        ("--variant xs --reading branch", "unknown value '' of branch: choose from after-res5a, "),
        ("--variant xs --reading branch=x", "unknown value 'x' of branch: choose from after-res5a"),
        ("--variant xs --reading x=y", "unknown reading 'x': choose from branch, moved-norm, shar"),
        ("--variant deepsentibank --base-lr 0.1", "--base-lr is for training, and deepsentibank"),
        ("--variant deepsentibank --batch-size 3", "--batch-size is for training"),
        ("--variant deepsentibank --solver-mode gpu", "--solver-mode is for training"),
        ("--variant xs --optimizer adam", "No such option"),
        ("--variant xs extra", "unexpected extra argument (extra)"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_message_and_exit_code_2(
    arguments: str, message: str, tmp_path: Path
) -> None:
    assert message in refused(2, "build", *arguments.split())
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--variant resnet50-adj --reading branch=after-res5a", "no blocks of several tasks"),
        ("--variant xs --blocks 3,4,6,1", "the last stage has one block, which the tasks share"),
        ("--variant xs --blocks 3,4,6,27", "27 blocks in a stage: at most 26 have a letter"),
        ("--variant xs --dataset nowhere.toml", "nowhere.toml: No such file or directory: make"),
        ("--variant vgg16-anp --width 64,32", "a second number of --width are for ResNets"),
        ("--variant xs --width 1000000", "Caffe holds at most 2,147,483,647 elements"),
        ("--variant xs --batch-size 100000", "Caffe holds at most 2,147,483,647 elements"),
    ],
)
def test_what_cannot_be_built_is_one_message_and_nothing_is_written(
    arguments: str, message: str, tmp_path: Path
) -> None:
    assert message in refused(1, "build", *arguments.split())
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("variant", ["x0", "xs"])
def test_more_tasks_than_can_be_built_are_refused_before_they_are(variant: str) -> None:
    many = tuple(Task(f"task{number}", 2) for number in range(MOST_TASKS + 1))
    with pytest.raises(UnsuitedError, match=r"would have 65 tasks, at most 64 .* of one task"):
        network(find(variant, [task.name for task in many]), replace(MTVSO, tasks=many))
    alone = find("resnet50-task64", [task.name for task in many])
    assert network(alone, replace(MTVSO, tasks=many))


def test_an_unknown_command_is_refused() -> None:
    assert "No such command 'make'. See `netgen --help`." in refused(2, "make")
    assert "No such command 'biuld'. Did you mean 'build'?" in refused(2, "biuld")


@pytest.mark.parametrize("option", ["--out", "--dataset"])
@pytest.mark.parametrize("path", ["a\nlayer { name: 'b' }", "tab\t", "bell\x07", "\udcff"])
def test_a_path_that_would_break_a_comment_is_refused(
    option: str, path: str, tmp_path: Path
) -> None:
    """The header names it, and what followed a line break would be part of the network."""
    message = refused(2, "build", "--variant", "x0", *NARROW, option, path)
    assert f"{option}': {path!r} has characters that cannot be printed" in message
    assert tree(tmp_path) == {}
