"""What `netgen eval` refuses: each with one message that names the file, and nothing written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Told
from support.evaluation import random_network
from support.networks import dataset
from support.trained_network import TEST, Trained

from netgen.caffe.caffe_pb2 import Datum
from netgen.caffe.caffemodel import Weights, read_weights, to_caffemodel
from netgen.caffe.engine import Engine
from netgen.commands.cli import main


def refused(trained: Trained, tmp_path: Path, *words: object) -> str:
    """Evaluate with these words besides, the last of a kind counting; return the one message."""
    out = tmp_path / "result.json"
    words = (*trained.words("--engine", "opencv", "--out", out), *words)
    told: Told = CliRunner().invoke(main, ["eval", *map(str, words)])
    assert told.exit_code == 1, told.output
    assert isinstance(told.exception, SystemExit)
    assert not out.exists()
    (message,) = [line for line in told.output.splitlines() if line.startswith("Error: ")]
    return message


@pytest.fixture
def copied(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the data that a test may spoil; its dataset.toml."""
    shutil.copytree(trained.folder / "data", tmp_path / "data")
    return tmp_path / "data/dataset.toml"


def change(database: Path, index: int, value: bytes | None, key: bytes | None = None) -> None:
    """Put another value, or none, in the place of a record, or add one under `key`."""
    with (
        lmdb.open(str(database), map_size=2**26) as environment,
        environment.begin(write=True) as transaction,
    ):
        keys = list(transaction.cursor().iternext(values=False))
        if value is None:
            transaction.delete(keys[index])
        else:
            transaction.put(key or keys[index], value)


def label(value: int) -> bytes:
    return Datum(channels=1, height=1, width=1, float_data=[value]).SerializeToString()


def test_weights_of_another_network(trained: Trained, tmp_path: Path) -> None:
    _, weights = random_network("resnet50-item", trained.dataset, tmp_path)
    message = refused(trained, tmp_path, "--weights", weights)
    assert "weights of another network" in message
    assert "res5b_branch2a_" in message or "bn5a_" in message


def test_weights_of_other_classes(trained: Trained, tmp_path: Path) -> None:
    other = dataset({"item": 12, "family": 6, "season": 3}, (1, 28, 28))
    _, weights = random_network("xs", other, tmp_path)
    message = refused(trained, tmp_path, "--weights", weights)
    assert "layer fc_item has blobs of 12 x" in message
    assert "needs 10 x" in message


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_caffemodel(trained: Trained, tmp_path: Path, share: float) -> None:
    content = trained.weights.read_bytes()
    cut = tmp_path / "cut.caffemodel"
    cut.write_bytes(content[: int(share * len(content))])
    assert str(cut) in refused(trained, tmp_path, "--weights", cut)


def test_an_empty_database(trained: Trained, tmp_path: Path, copied: Path) -> None:
    images = copied.parent / "test/images.lmdb"
    shutil.rmtree(images)
    lmdb.open(str(images)).close()
    message = refused(trained, tmp_path, "--dataset", copied)
    assert f"{images}: an LMDB without records" in message


def test_a_database_that_was_cut_off(trained: Trained, tmp_path: Path, copied: Path) -> None:
    file = copied.parent / "test/images.lmdb/data.mdb"
    file.write_bytes(file.read_bytes()[:20_000])
    assert "cut off" in refused(trained, tmp_path, "--dataset", copied)


def test_a_database_that_lacks_a_record(trained: Trained, tmp_path: Path, copied: Path) -> None:
    change(copied.parent / "test/label_family.lmdb", 50, None)
    message = refused(trained, tmp_path, "--dataset", copied)
    assert "label_family.lmdb: 100 records, but dataset.toml says 101" in message


def test_databases_whose_keys_are_not_the_same(
    trained: Trained, tmp_path: Path, copied: Path
) -> None:
    database = copied.parent / "test/label_season.lmdb"
    change(database, 50, None)
    change(database, 0, label(1), key=b"99999999")
    message = refused(trained, tmp_path, "--dataset", copied)
    assert "do not belong together: record 50" in message


@pytest.mark.parametrize("wrong", [10, 999, -1])
def test_a_label_out_of_range(trained: Trained, tmp_path: Path, copied: Path, wrong: int) -> None:
    change(copied.parent / "test/label_item.lmdb", 7, label(wrong))
    message = refused(trained, tmp_path, "--dataset", copied)
    assert f"label_item.lmdb: record 7 has the label {wrong}" in message
    assert "10 classes" in message


def test_a_record_of_another_size(trained: Trained, tmp_path: Path, copied: Path) -> None:
    wrong = Datum(channels=1, height=28, width=27, data=bytes(28 * 27)).SerializeToString()
    change(copied.parent / "test/images.lmdb", TEST - 1, wrong)
    for engine in ("opencv", "caffe"):
        message = refused(trained, tmp_path, "--dataset", copied, "--engine", engine)
        assert "1 x 28 x 27" in message


def test_a_network_for_other_images(trained: Trained, tmp_path: Path) -> None:
    classes = {task.name: task.classes for task in trained.dataset.tasks}
    network, weights = random_network("xs", dataset(classes, (3, 32, 32)), tmp_path)
    message = refused(trained, tmp_path, "--net", network, "--weights", weights)
    assert "takes images of 3 x 32 x 32" in message


def test_classes_that_do_not_match_the_dataset(trained: Trained, tmp_path: Path) -> None:
    other = dataset({"item": 12, "family": 6, "season": 3}, (1, 28, 28))
    network, weights = random_network("xs", other, tmp_path)
    message = refused(trained, tmp_path, "--net", network, "--weights", weights)
    assert "12 outputs for item, which has 10 classes" in message


def test_a_network_of_another_datasets_tasks(trained: Trained, tmp_path: Path) -> None:
    network, weights = random_network("xs", dataset({"noun": 9, "adj": 4}, (1, 28, 28)), tmp_path)
    message = refused(trained, tmp_path, "--net", network, "--weights", weights)
    assert "no Softmax layer prob_item (it has prob_noun, prob_adj)" in message


def test_a_training_network_in_place_of_the_deploy_one(trained: Trained, tmp_path: Path) -> None:
    assert "give deploy.prototxt" in refused(trained, tmp_path, "--net", trained.train_val)


def test_a_gpu_with_a_caffe_that_knows_none(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu_only = Engine(Path("/somewhere/caffe"), "1.0", cuda=False, build={})
    monkeypatch.setattr("netgen.evaluation.scoring.find_engine", lambda: cpu_only)
    message = refused(trained, tmp_path, "--engine", "caffe", "--gpu", 0)
    assert "built for the CPU only" in message
    assert "--gpu" in refused(trained, tmp_path, "--gpu", 0)  # OpenCV


Change = Callable[[list[Weights]], list[Weights]]


def with_values(value: float) -> Change:
    """Every weight of the classifier of items becomes `value`."""

    def change(layers: list[Weights]) -> list[Weights]:
        return [
            replace(layer, blobs=(np.full_like(layer.blobs[0], value), *layer.blobs[1:]))
            if layer.name == "fc_item"
            else layer
            for layer in layers
        ]

    return change


def of_nvidia(layers: list[Weights]) -> list[Weights]:
    """Every BatchNorm has five blobs, as NVIDIA's Caffe writes it."""
    return [
        replace(layer, blobs=(*layer.blobs, *layer.blobs[:2]))
        if layer.type == "BatchNorm"
        else layer
        for layer in layers
    ]


def twice(layers: list[Weights]) -> list[Weights]:
    return [*layers, layers[0]]


def changed(trained: Trained, folder: Path, change: Change) -> Path:
    file = folder / "changed.caffemodel"
    file.write_bytes(to_caffemodel("changed", change(read_weights(trained.weights))))
    return file


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_values(np.nan), "fc_item: NaN or infinite numbers"),
        (with_values(np.inf), "fc_item: NaN or infinite numbers"),
        (of_nvidia, "a BatchNorm of 5 blobs, where Caffe's has 3"),
        (twice, "two layers of one name (conv1)"),
    ],
    ids=["nan", "infinite", "nvidia", "twice"],
)
def test_weights_that_training_refuses(
    change: Change, reason: str, trained: Trained, tmp_path: Path
) -> None:
    file = changed(trained, tmp_path, change)
    for engine in ("opencv", "caffe"):
        message = refused(trained, tmp_path, "--weights", file, "--engine", engine)
        assert f"{file}: " in message
        assert reason in message


def test_weights_that_training_refuses_are_refused_for_photographs_too(
    trained: Trained, tmp_path: Path
) -> None:
    photograph = tmp_path / "photograph.png"
    cv2.imwrite(str(photograph), trained.images[0])
    for change, reason in ((with_values(np.nan), "NaN"), (of_nvidia, "5 blobs"), (twice, "name")):
        words = trained.words("--weights", changed(trained, tmp_path, change))
        told = CliRunner().invoke(main, ["predict", str(photograph), *words])
        assert told.exit_code == 1
        assert reason in told.output


def test_scores_that_are_no_numbers(trained: Trained, tmp_path: Path) -> None:
    sick = changed(trained, tmp_path, with_values(3e38))  # finite, their sums are not
    assert "scores for item of image 0 are not finite" in refused(
        trained, tmp_path, "--weights", sick
    )


def test_a_deploy_network_that_was_never_built_is_wrong_usage(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = shutil.copy2(trained.weights, tmp_path)  # away from what describes them
    told = CliRunner().invoke(main, ["eval", "--variant", "x0", "--weights", str(weights)])
    assert told.exit_code == 2
    assert "models/x0/deploy.prototxt does not exist" in told.output


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("data/dataset.toml", "by its ending holds a dataset or a study"),
        ("xs.caffemodel", "by its ending holds weights"),
        ("data/test/images.lmdb/data.mdb", "by its ending holds a database"),
        ("deploy.json", "is a file that this command reads"),
        ("names.txt", "is a file that this command reads"),
        ("data/classes/item.txt", "is a file that this command reads"),
    ],
)
def test_a_result_overwrites_nothing_that_it_is_made_of(
    trained: Trained, tmp_path: Path, copied: Path, file: str, reason: str
) -> None:
    (tmp_path / "names.txt").write_text("of a network with one task\n")
    shutil.copy2(trained.network, tmp_path)
    shutil.copy2(trained.network.with_name("deploy.json"), tmp_path)
    shutil.copy2(trained.weights, tmp_path / "xs.caffemodel")
    before = (tmp_path / file).read_bytes()
    words = trained.words(
        "--engine", "opencv", "--weights", tmp_path / "xs.caffemodel", "--dataset", copied,
        "--net", tmp_path / "deploy.prototxt", "--classes", tmp_path / "names.txt",
        "--out", tmp_path / file,
    )  # fmt: skip
    told = CliRunner().invoke(main, ["eval", *words])
    assert told.exit_code == 2, told.output
    assert reason in told.output
    assert "give --out another file" in told.output
    assert (tmp_path / file).read_bytes() == before


def test_the_papers_data_where_they_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netgen.network.dataset import MTVSO

    monkeypatch.chdir(tmp_path)
    data = dataset({task.name: task.classes for task in MTVSO.tasks})
    network, weights = random_network("xs", data, tmp_path)
    told = CliRunner().invoke(
        main,
        ["eval", "--variant", "xs", "--weights", str(weights), "--net", str(network),
         "--engine", "opencv"],
    )  # fmt: skip
    assert told.exit_code == 1
    assert "data/mtvso/train/" in told.output


def test_a_network_of_a_dataset_whose_file_is_not_named_asks_for_it(
    trained: Trained, tmp_path: Path
) -> None:
    """The paper's own images would be looked for, and its tasks not found."""
    told = CliRunner().invoke(main, ["eval", "--weights", str(trained.folder / "models/xs")])
    assert told.exit_code == 2, told.output
    assert "the network was made for some, and no file of that is named beside it" in told.output
    assert "name its dataset.toml with --dataset" in told.output
    assert "testing" not in told.output


def test_a_variant_that_nobody_typed_is_told_with_its_file(
    trained: Trained, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(trained.folder / "models/xs", tmp_path / "xs"))
    said = model / "deploy.json"
    said.write_text(said.read_text().replace('"xs"', '"x0"'))
    told = CliRunner().invoke(
        main, ["eval", "--weights", str(model), "--dataset", str(trained.toml)]
    )
    assert told.exit_code == 2, told.output
    assert f"{said} says x0, but the network is xs: name x0's own files" in told.output
