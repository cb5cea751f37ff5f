"""Figure 5, training curves and confusions: drawn from what Caffe and netgen wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from support.evaluation import random_network
from support.trained_network import RECIPE, Trained

from netgen.caffe.caffemodel import Weights, read_weights, to_caffemodel
from netgen.caffe.training_log import read_log
from netgen.commands.cli import main
from netgen.evaluation.results import read_result
from netgen.figures import confusion, cross_weights, curves


def netgen_figure(*words: object) -> Result:
    return CliRunner().invoke(main, ["figure", *map(str, words)])


def test_figure_5_has_each_connections_weights_sorted(trained: Trained) -> None:
    blobs = {layer.name: layer.blobs for layer in read_weights(trained.weights)}
    panels = cross_weights.cross_weights_figure(cross_weights.cross_weights(trained.weights)).axes
    assert [panel.get_title(loc="left")[:5] for panel in panels] == ["res5b", "res5c"]
    for panel, layer in zip(panels, ("5b", "5c"), strict=True):
        drawn = {line.get_label(): line.get_ydata() for line in panel.lines}
        names = [name for name in drawn if not str(name).startswith("_")]
        assert len(names) == 6  # ordered pairs of three tasks
        for name in names:
            source, target = str(name).split("-")
            learned = blobs[f"cross{layer}_{source}_{target}"][0]
            assert np.asarray(drawn[name]).tolist() == sorted(learned.tolist(), reverse=True)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_every_figure_is_written_as_its_suffix_says(
    trained: Trained, tmp_path: Path, suffix: str
) -> None:
    result = tmp_path / "xs.json"
    words = ["eval", *trained.words("--engine", "opencv", "--out", result)]
    assert CliRunner().invoke(main, words).exit_code == 0
    for kind, source, word in (
        ("weights", trained.weights, "family-item"),
        ("curves", trained.log, "season"),
        ("confusion", result, "Ankle boot"),
    ):
        out = tmp_path / f"{kind}.{suffix}"
        told = netgen_figure(kind, source, "--out", out)
        assert told.exit_code == 0, told.output
        assert told.output == f"{out}\n"
        if suffix == "svg":
            assert word in out.read_text()
        else:
            with Image.open(out) as picture:
                assert picture.width > 600


def test_weights_without_cross_weights_are_refused(trained: Trained, tmp_path: Path) -> None:
    _, other = random_network("x1", trained.dataset, tmp_path)
    told = netgen_figure("weights", other, "--out", tmp_path / "figure.png")
    assert told.exit_code == 1
    assert "only X_S learns cross weights" in told.output
    assert not (tmp_path / "figure.png").exists()


def test_weights_of_own_shortcuts_and_of_many_layers_are_drawn_too(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 5)
    named = {f"cross{layer}_a_b": values for layer in ("4b", "4c", "5b")} | {"self5b_a": values + 1}
    file = tmp_path / "beyond.caffemodel"
    layers = [Weights(name, "Scale", (blob,)) for name, blob in named.items()]
    file.write_bytes(to_caffemodel("beyond", layers))
    panels = cross_weights.cross_weights_figure(cross_weights.cross_weights(file)).axes
    shown = [[str(line.get_label()) for line in panel.lines[1:]] for panel in panels]
    assert shown == [["a-b"], ["a-b"], ["a-b", "a-a"]]
    assert np.asarray(panels[2].lines[2].get_ydata()).tolist() == pytest.approx(
        sorted(values + 1, reverse=True)
    )


def test_convolutions_for_cross_weights_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "convolutions.caffemodel"
    blob = np.zeros((4, 4, 1, 1))
    file.write_bytes(to_caffemodel("x", [Weights("cross5b_a_b", "Convolution", (blob,))]))
    told = netgen_figure("weights", file, "--out", tmp_path / "a.png")
    assert told.exit_code == 1
    assert "cross5b_a_b is a convolution, with one weight per pair of channels" in told.output
    assert not (tmp_path / "a.png").exists()


def test_curves_are_what_caffes_log_tells(trained: Trained) -> None:
    run = curves.read_run(trained.log)
    log = read_log(trained.log)
    assert set(run.train) == {"loss_item", "loss_family", "loss_season"}
    assert run.train["loss_item"] == [(r.iteration, r.values["loss_item"]) for r in log.train]
    assert len(run.train["loss_item"]) == RECIPE.max_iter // RECIPE.display  # type: ignore[operator]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run, with a journal: a display without a number, a drop, a line cut off."""
    folder = tmp_path / "my run"
    folder.mkdir()
    lines: list[dict[str, object]] = [{"event": "start", "iteration": 0, "epoch": 10.5}]
    for iteration in range(0, 100, 10):
        value = None if iteration == 50 else 2.0 - iteration / 100
        outputs = {"loss_noun": value, "loss_adj": 1.0}
        lines.append({"event": "train", "iteration": iteration, "outputs": outputs, "lr": 0.1})
    tested = {"loss_noun": 1.0, "top1_noun": 0.25, "top5_noun": 0.5, "top1_adj": 0.125}
    lines.append({"event": "test", "iteration": 100, "outputs": tested})
    lines.append({"event": "drop", "iteration": 100, "lr": 0.01, "why": "plateau"})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "log.jsonl").write_text(text + '{"event": "train", "itera')
    return folder


def test_a_runs_journal_gives_losses_accuracies_and_drops(run: Path) -> None:
    for named in (run, run / "log.jsonl"):
        read = curves.read_run(named)
        assert read.name == "my run"
        assert [iteration for iteration, _ in read.train["loss_noun"]] == [
            0, 10, 20, 30, 40, 60, 70, 80, 90,
        ]  # fmt: skip
        assert read.test["top1_noun"] == [(100, 0.25)]
        assert read.drops == [(100, 0.01)]
    losses, tests = curves.curves_figure([read]).axes
    assert {line.get_label() for line in tests.lines} >= {"noun", "adj"}
    drawn = [np.asarray(line.get_ydata()).tolist() for line in tests.lines]
    assert [25.0] in drawn
    assert [50.0] in drawn  # top-5
    assert any(text.get_text() == "rate 0.01" for text in losses.texts)


def test_several_runs_share_a_picture_and_are_told_apart(
    run: Path, trained: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "both.svg"
    told = netgen_figure("curves", run, trained.log, "--out", out)
    assert told.exit_code == 0, told.output
    assert "noun (my run)" in out.read_text()
    assert "item (xs)" in out.read_text()


@pytest.mark.parametrize("content", ["", "no log\n", '{"event": "start", "iteration": 0}\n'])
def test_a_log_without_a_training_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "log.jsonl").write_text(content)
    told = netgen_figure("curves", tmp_path / "log.jsonl", "--out", tmp_path / "figure.png")
    assert told.exit_code == 1
    assert str(tmp_path / "log.jsonl") in told.output
    assert not (tmp_path / "figure.png").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    told = netgen_figure("curves", tmp_path, "--out", tmp_path / "figure.png")
    assert told.exit_code == 1
    assert "log.jsonl" in told.output


def test_a_confusion_matrixs_rows_are_the_right_classes(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "xs.json"
    words = ["eval", *trained.words("--engine", "opencv", "--out", out)]
    assert CliRunner().invoke(main, words).exit_code == 0
    task = read_result(out).task("item")
    (panel,) = confusion.confusions_figure([task]).axes
    shares = np.asarray(panel.images[0].get_array())
    assert shares.sum(axis=1) == pytest.approx([100] * 10)
    worst = task.confusions[0]
    wrong = 100 * worst.count / task.of_class[worst.truth].total
    assert shares[worst.truth, worst.guess] == pytest.approx(wrong)
    assert [label.get_text() for label in panel.get_yticklabels()] == list(task.names or ())


def test_of_many_classes_the_most_confused_are_shown() -> None:
    from msgspec.structs import replace
    from support.evaluation import RESULT

    from netgen.evaluation.results import Confusion

    many = replace(
        RESULT.tasks[0],
        confusions=tuple(Confusion(index, 166 - index, 90 - index) for index in range(80)),
    )
    (panel,) = confusion.confusions_figure([many]).axes
    shown = [label.get_text() for label in panel.get_yticklabels()]
    assert shown == [str(index) for index in (*range(12), *range(155, 167))]
    assert "24 of 167" in panel.get_title(loc="left")


def test_a_task_that_the_result_lacks_is_wrong_usage(tmp_path: Path) -> None:
    from support.evaluation import RESULT

    from netgen.evaluation.results import write_result

    write_result(RESULT, tmp_path / "xs.json")
    told = netgen_figure(
        "confusion", tmp_path / "xs.json", "--task", "anp", "--out", tmp_path / "figure.png"
    )
    assert told.exit_code == 2
    assert "choose from noun, adj" in told.output
