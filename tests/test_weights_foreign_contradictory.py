"""`netgen init --from` well-formed files that say something wrong: one clear line, no weights."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save
from support.foreign import (
    KERAS_MEAN,
    NETWORK,
    build_for,
    keras_file,
    numbers,
    state_dict,
)
from support.initial_weights import init, refused
from support.pytorch import torch_or_skip

from netgen.weights.incoming.fitting import Target, read_target

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


def refuse_arrays(**changed: NDArray[Any]) -> str:
    """Start from torchvision's arrays, some added or changed; of their names, _ is a dot."""
    named = {name.replace("__", "."): array for name, array in changed.items()}
    return refuse(save(state_dict(numbers()) | named), *CAFFE)


# ---- numbers ------------------------------------------------------------------------------------


def test_only_real_numbers_are_weights() -> None:
    told = refuse_arrays(layer1__0__conv2__weight=np.ones((4, 4, 3, 3), np.complex64))
    assert f"{WITHIN}: complex64, where a network's weights are floats" in told


def test_a_bias_that_is_no_number_is_refused() -> None:
    told = refuse_arrays(conv1__bias=np.full(6, np.nan, np.float32))
    assert "conv1.bias: NaN or infinite numbers" in told
    assert "conv1.bias: whole numbers (int64)" in refuse_arrays(conv1__bias=np.ones(6, np.int64))


def test_numbers_that_are_too_large_once_they_are_folded_are_refused() -> None:
    large = np.full(6, 3e38, np.float32)
    told = refuse_arrays(conv1__bias=large, bn1__running_mean=-large)
    assert "bn_conv1: numbers that are too large for float32" in told


@pytest.mark.parametrize("shape", [(), (5, 1), (4,)], ids=str)
def test_a_classifier_whose_arrays_do_not_belong_together_is_refused(shape: tuple[int]) -> None:
    told = refuse(save(state_dict(numbers()) | {"fc.bias": np.ones(shape, np.float32)}), *CAFFE)
    assert "arrays of 5 x 128, " in told
    assert "for its classifier: it has a row of weights and a bias for each class" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("scale: 0", "its images are multiplied by 0"),
        ("mean_value: nan", "a mean of nan"),
        ("mean_value: 1 mean_value: 2", "3 colours, where the network's mean has 2"),
    ],
)
def test_a_network_whose_pixels_no_weights_fit_is_refused(line: str, told: str) -> None:
    build_for(KERAS_MEAN)
    Path("other.bin").write_bytes(keras_file(numbers(biases=True), since_2019=True))
    net = Path(NETWORK) / "train_val.prototxt"
    lines = [x for x in net.read_text().splitlines() if "mean_value" not in x]
    net.write_text("\n".join(lines).replace("transform_param {", f"transform_param {{ {line}"))
    assert told in refused(*FROM, "other.bin")


def test_grey_weights_are_not_taken_in_the_style_of_colours() -> None:
    grey = state_dict(numbers()) | {"conv1.weight": np.ones((6, 1, 7, 7), np.float32)}
    told = refuse(save(grey), "--style", "pytorch")
    assert "its first convolution reads 1 colours, but its pixels have 3 deviations" in told


@pytest.mark.parametrize("kind", ["Data", "ImageData", "MemoryData"])
def test_pixels_are_those_that_any_layer_of_images_makes(kind: str) -> None:
    Path("net.prototxt").write_text(
        f'layer {{ name: "x" type: "{kind}" transform_param {{ scale: 0.5 mean_value: 7 }} }}'
    )
    assert read_target("net.prototxt") == Target(mean=(7.0,), scale=0.5, padded=None)


# ---- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["layer1.0.se.fc1.weight", "layer2.1.attn.conv.weight", "layer1.1.conv1.bias_mask"]
)
def test_a_network_with_more_in_its_blocks_is_no_resnet_50(name: str) -> None:
    told = refuse(save(state_dict(numbers()) | {name: np.ones(3, np.float32)}), *CAFFE)
    assert f"a ResNet with other parts: it also has {name}" in told


def test_counts_of_images_and_other_heads_are_left_aside() -> None:
    build_for(KERAS_MEAN)
    more: dict[str, NDArray[Any]] = {
        "bn1.num_batches_tracked": np.ones((), np.int64),
        "neck.x": np.ones(3, np.float32),
    }
    state: dict[str, NDArray[Any]] = {**state_dict(numbers()), **more}
    Path("more").write_bytes(save(state))
    init(*FROM, "more", *CAFFE)


@pytest.mark.parametrize("name", ["module.conv1.weight", "backbone.layer1.0.conv2.weight"])
def test_two_networks_in_one_checkpoint_are_told_apart_by_its_reader(name: str) -> None:
    state = state_dict(numbers())
    plain = name.removeprefix("module.").removeprefix("backbone.")
    told = refuse(save(state | {name: np.ones_like(state[plain])}), *CAFFE)
    assert " are the same array of two networks: save the state_dict of the one" in told
    assert f"{plain} and" in told or f"and {plain} " in told


def test_names_are_not_obeyed_and_stay_in_one_line() -> None:
    told = refuse(save({"a\x1b[2J\nError: done": np.ones(3, np.float32)}), *CAFFE)
    assert r"the name 'a\x1b[2J\nError: done' has characters that are not shown" in told


def test_a_shape_that_no_memory_holds_is_damage() -> None:
    header = b'{"a":{"dtype":"F32","shape":[0,4611686018427387904],"data_offsets":[0,0]}}'
    told = refuse(len(header).to_bytes(8, "little") + header, *CAFFE)
    assert "other.bin: damaged or truncated" in told


# ---- torch's archives ---------------------------------------------------------------------------


def torchs(**changed: Any) -> bytes:
    """The network as torch saves it, arrays changed as by `refuse_arrays`."""
    torch, tensor, _ = torch_or_skip()
    state = {name: tensor(array) for name, array in state_dict(numbers()).items()}
    saved = io.BytesIO()
    torch.save(state | {name.replace("__", "."): each for name, each in changed.items()}, saved)
    return saved.getvalue()


def packed(content: bytes, change: Callable[[str, bytes], Iterator[tuple[str, bytes]]]) -> bytes:
    """An archive whose files are what `change` yields for each."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            for each, data in change(name, old.read(name)):
                new.writestr(each, data)
    return made.getvalue()


def test_a_record_that_is_too_short_is_damage_and_nothing_behind_it_is_read() -> None:
    def cut(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
        yield name, data[:4] if name.endswith("data/3") else data

    assert "is damaged or truncated: fetch it again" in refuse(packed(torchs(), cut), *CAFFE)


def test_a_record_that_is_missing_is_damage() -> None:
    def drop(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
        if not name.endswith("data/3"):
            yield name, data

    assert "is damaged or truncated: fetch it again" in refuse(packed(torchs(), drop), *CAFFE)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_in_an_archive_are_refused() -> None:
    def double(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
        yield name, data
        if name.endswith("data/0"):
            yield name, bytes(len(data))

    told = refuse(packed(torchs(), double), *CAFFE)
    assert "a zip archive with two files of one name" in told


def test_an_archive_of_gigabytes_in_a_few_megabytes_is_not_unpacked() -> None:
    def blow_up(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
        yield name, data

    bomb = bytearray(packed(torchs(), blow_up))
    for entry in range(bomb.find(b"PK\x01\x02"), len(bomb)):
        if bomb[entry : entry + 4] == b"PK\x01\x02":  # what the list of files says of their sizes
            bomb[entry + 24 : entry + 28] = (2**31).to_bytes(4, "little")
    assert "GiB, unpacked: is it the right file?" in refuse(bytes(bomb), *CAFFE)


def test_a_few_numbers_that_stand_for_billions_are_refused() -> None:
    torch = torch_or_skip().torch
    stretched = torchs(layer1__0__conv2__weight=torch.zeros(1).expand(10**4, 10**4, 100, 10))
    assert f"{WITHIN}: 373 GiB, more than any network has" in refuse(stretched, *CAFFE)
