"""`netgen eval --sums`: how large what the tasks' blocks add is, compared with OpenCV's blobs."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from support.trained_network import Trained

from netgen.commands.cli import main
from netgen.evaluation.results import Result, read_result
from netgen.evaluation.scoring import Squares
from netgen.evaluation.stored_images import StoredImages
from netgen.evaluation.sums import SumMeter, sums_of


@pytest.fixture(scope="module")
def measured(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, str]:
    out = tmp_path_factory.mktemp("sums") / "result.json"
    words = trained.words("--engine", "caffe", "--sums", "--out", out)
    done = CliRunner().invoke(main, ["eval", *map(str, words)])
    assert done.exit_code == 0, done.output
    return read_result(out), done.output


def test_every_block_of_every_task_has_its_terms(
    trained: Trained, measured: tuple[Result, str]
) -> None:
    result, printed = measured
    tasks = [task.name for task in trained.dataset.tasks]
    assert {each.task for each in result.sums} == set(tasks)
    assert len({(each.block, each.task) for each in result.sums}) == len(result.sums)
    for each in result.sums:
        assert len(each.cross) == len(tasks) - 1
        whole = each.own + each.branch + sum(each.cross)
        assert 0 < each.after <= whole * (1 + 1e-5)  # Minkowski's; the ReLU takes away
        assert f"res{each.block}" in printed


def test_sizes_are_those_of_opencvs_blobs(trained: Trained, measured: tuple[Result, str]) -> None:
    data = trained.dataset
    net = cv2.dnn.readNetFromCaffe(str(trained.network), str(trained.weights))
    shape = (data.images.channels, data.images.height, data.images.width)
    stored = StoredImages(Path(data.test.images), shape, data.images.mean, 24)
    sums = measured[0].sums
    tasks = list(dict.fromkeys(each.task for each in sums))
    names = [f"res{each.block}_relu_{each.task}" for each in sums]
    crosses = [
        f"cross{block}_{source}_{target}"
        for block in dict.fromkeys(each.block for each in sums)
        for source, target in permutations(tasks, 2)
    ]
    squares: dict[str, list[float]] = {name: [] for name in (*names, *crosses)}
    for batch in stored:
        net.setInput(batch)
        for name, blob in zip(squares, net.forward([*squares]), strict=True):
            squares[name] += (blob.reshape(len(blob), -1) ** 2).mean(axis=1).tolist()
    size = {name: np.sqrt(np.mean(values)) for name, values in squares.items()}
    for each in sums:
        assert each.after == pytest.approx(size[f"res{each.block}_relu_{each.task}"], rel=1e-3)
        others = [
            size[f"cross{each.block}_{source}_{each.task}"]
            for source in tasks
            if source != each.task
        ]
        assert each.cross == pytest.approx(others, rel=1e-3)


def built(trained: Trained, folder: Path, *words: str) -> Path:
    """Build a network for the trained one's images; return its deploy.prototxt."""
    data = str(trained.folder / "data/dataset.toml")
    done = CliRunner().invoke(main, ["build", "--dataset", data, "--out", str(folder), *words])
    assert done.exit_code == 0, done.output
    [found] = folder.glob("models/*/deploy.prototxt")
    return found


def test_a_factor_is_counted_and_batches_add_up(trained: Trained, tmp_path: Path) -> None:
    plain = sums_of(built(trained, tmp_path / "plain", "--variant", "x1"))
    words = ("--variant", "x1", "--reading", "normalization=mean")
    mean = sums_of(built(trained, tmp_path / "mean", *words))
    assert {each.factors for each in plain} == {(1.0,) * 4}
    for each in mean:
        assert each.factors == pytest.approx((1 / 3, 1, 1 / 3, 1 / 3))
    meter = SumMeter(mean)
    for size in (3, 5):
        meter.add(Squares({blob: np.full(size, 4.0, np.float32) for blob in meter.blobs}))
    for scale in meter.scales():
        assert (scale.own, scale.branch, scale.after) == pytest.approx((2 / 3, 2, 2))
        assert scale.cross == pytest.approx((2 / 3, 2 / 3))


def test_a_network_or_an_engine_without_sums_is_refused(trained: Trained, tmp_path: Path) -> None:
    words = trained.words("--engine", "opencv", "--sums", "--out", tmp_path / "r.json")
    done = CliRunner().invoke(main, ["eval", *map(str, words)])
    assert done.exit_code == 1
    assert "--engine opencv has no sums to measure: use caffe" in done.output
    task = trained.dataset.tasks[0].name
    single = built(trained, tmp_path / "one", "--variant", f"resnet50-{task}")
    with pytest.raises(ValueError, match="no blocks of the tasks' own in it"):
        sums_of(single)
    assert not (tmp_path / "r.json").exists()
