"""Networks that others published: all that come with Caffe are counted and drawn."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from support.once import Once
from support.pages import counted, data_of, made
from support.recipe import kept_source

# What is known of some from their papers and from Caffe's own pages: parameters, and layers.
KNOWN = {
    "models/bvlc_alexnet/deploy": (60_965_224, 24),
    "models/bvlc_reference_caffenet/deploy": (60_965_224, 24),
    "models/bvlc_googlenet/deploy": (6_998_552, 143),
    "models/bvlc_googlenet/train_val": (13_378_280, 159),
    "examples/mnist/lenet": (431_080, 9),
    "examples/cifar10/cifar10_quick": (145_578, 13),
    "examples/cifar10/cifar10_full": (89_578, 14),
}
# Pairs of images in one record, which only who made the database knows.
TOLD = {"examples/siamese/mnist_siamese_train_test": ("--input", "pair_data=2x28x28")}


@pytest.fixture(scope="module")
def networks(once: Once, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The prototxt of every network in Caffe's source, by its place there."""
    source = kept_source("debian")
    if source is None:
        pytest.skip("Caffe's source is not here: CAFFE_SOURCE=debian ./run setup fetches it, if no"
                    " Caffe is built from it yet")  # fmt: skip
    folder = once("public-networks", lambda: _unpacked(source, tmp_path_factory.mktemp("caffe")))
    files = sorted(folder.rglob("*.prototxt"))
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}


def _unpacked(source: Path, folder: Path) -> Path:
    with tarfile.open(source) as tar:
        for name in tar.getnames():
            content = tar.extractfile(name) if name.endswith(".prototxt") else None
            if content is not None and "solver" not in name:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content.read())
    return folder


def test_every_network_that_caffe_ships_is_drawn_with_all_its_layers(
    networks: dict[str, Path], tmp_path: Path
) -> None:
    assert len(networks) == 29
    for name, file in networks.items():
        told = TOLD.get(name, ())
        page = made(tmp_path / "page.html", "network", "--net", file, *told)
        layers = counted(file, *told)["layers"]
        [network] = data_of(page)["networks"]
        assert [each["name"] for each in network["layers"]] == [each["name"] for each in layers]


@pytest.mark.parametrize("name", KNOWN)
def test_they_have_the_parameters_that_they_are_known_for(
    networks: dict[str, Path], name: str
) -> None:
    found = counted(networks[name])
    assert (found["parameters"], len(found["layers"])) == KNOWN[name]
    assert found["complete"]
