"""`netgen eval --classes`: a network with more outputs than the task, as DeepSentiBank's 2,089."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Told
from msgspec.structs import replace
from support.evaluation import random_network
from support.networks import dataset
from support.paths import ROOT
from support.trained_network import TEST, Trained

from data_prep.fashion_mnist import CLASSES
from netgen.commands.cli import main
from netgen.evaluation.deployed import read_deployed
from netgen.evaluation.labels import labels_of
from netgen.evaluation.output_names import NamingError, columns, plain, read_outputs
from netgen.evaluation.results import read_result
from netgen.evaluation.scoring import Scores, ScoringJob, score
from netgen.evaluation.stored_images import StoredImages
from netgen.network.dataset import MTVSO, Task

OUTPUTS = 23
# Ten of the outputs are the dataset's items, in another order and another spelling.
PLACES = [3, 22, 0, 7, 11, 12, 5, 19, 2, 8]


@pytest.fixture
def names(tmp_path: Path) -> Path:
    lines = [f"other {index}" for index in range(OUTPUTS)]
    for place, name in zip(PLACES, CLASSES["item"], strict=True):
        lines[place] = name.upper().replace(" ", "_")
    file = tmp_path / "outputs.txt"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture
def network(tmp_path: Path) -> tuple[Path, Path]:
    return random_network("resnet50-item", dataset({"item": OUTPUTS}, (1, 28, 28)), tmp_path)


def netgen_eval(trained: Trained, network: tuple[Path, Path], *words: object) -> Told:
    options = {
        "--variant": "resnet50-item", "--net": network[0], "--weights": network[1],
        "--dataset": trained.toml, "--engine": "opencv",
    }  # fmt: skip
    given = [word for pair in options.items() for word in pair]
    return CliRunner().invoke(main, ["eval", *map(str, (*given, *words))])


def test_it_is_counted_both_ways(
    trained: Trained, network: tuple[Path, Path], names: Path, tmp_path: Path
) -> None:
    out = tmp_path / "result.json"
    told = netgen_eval(trained, network, "--classes", names, "--out", out)
    assert told.exit_code == 0, told.output
    data = trained.dataset
    deployed = read_deployed(network[0], ["item"])
    found: list[Scores] = []
    stored = StoredImages(Path(data.test.images), deployed.shape, data.images.mean, TEST)
    score("opencv", ScoringJob(deployed, network[1], stored), found.append)
    scores, labels = found[0]["item"], labels_of(data, "TEST")["item"]
    assert scores.shape == (TEST, OUTPUTS)

    result = read_result(out).task("item")
    alone = (scores[:, PLACES].argmax(axis=1) == labels).sum()
    competing = (scores.argmax(axis=1) == np.array(PLACES)[labels]).sum()
    first_five = np.argsort(-scores, axis=1)[:, :5]
    competing5 = (first_five == np.array(PLACES)[labels][:, None]).any(axis=1).sum()
    by_label5 = (first_five == labels[:, None]).any(axis=1).sum()
    assert 0 < competing5 != by_label5  # else what follows would prove nothing
    assert result.accuracy.top1.correct == alone
    assert result.competing is not None
    assert result.competing.outputs == OUTPUTS
    assert result.competing.accuracy.top1.correct == competing
    assert result.competing.accuracy.top5.correct == competing5 <= result.accuracy.top5.correct
    assert f"all {OUTPUTS} outputs competing" in told.output


def test_without_names_its_outputs_do_not_match(
    trained: Trained, network: tuple[Path, Path]
) -> None:
    told = netgen_eval(trained, network)
    assert told.exit_code == 1
    assert f"{OUTPUTS} outputs for item" in told.output
    assert "--classes" in told.output


def test_classes_that_no_output_is_named_after_are_listed(
    trained: Trained, network: tuple[Path, Path], names: Path
) -> None:
    names.write_text(names.read_text().replace("ANKLE_BOOT", "boot").replace("BAG", "sack"))
    told = netgen_eval(trained, network, "--classes", names)
    assert told.exit_code == 1
    assert "2 of the 10 classes of item are not in it: 'Bag', 'Ankle boot'" in told.output


def test_too_few_names_are_refused(
    trained: Trained, network: tuple[Path, Path], names: Path
) -> None:
    names.write_text("".join(names.read_text().splitlines(keepends=True)[:-1]))
    told = netgen_eval(trained, network, "--classes", names)
    assert told.exit_code == 1
    assert f"{OUTPUTS - 1} names for the {OUTPUTS} outputs" in told.output


def test_a_network_of_several_tasks_has_no_such_names(trained: Trained, names: Path) -> None:
    words = trained.words("--engine", "opencv", "--classes", names)
    told = CliRunner().invoke(main, ["eval", *words])
    assert told.exit_code == 1
    assert "a network with one task" in told.output


@pytest.mark.parametrize("name", ["Happy_Dog", "happy-dog", " happy  dog", "HAPPY DOG"])
def test_case_and_what_is_between_words_do_not_matter(name: str) -> None:
    assert plain(name) == "happy dog"


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("happy dog\nsad dog\nHappy_Dog\n")
    with pytest.raises(NamingError, match="names 1 and 3 are the same"):
        read_outputs(file)


def test_deepsentibanks_published_list_names_every_pair_of_the_papers() -> None:
    lists = ROOT.parent / "shared/data"
    if not lists.exists():
        pytest.skip("class lists are not at ../shared/data (public: DeepSentiBank and MTVSO)")
    names = str(lists / "mtvso/mtvso_anplabels.txt")
    data = replace(MTVSO, tasks=(Task("anp", 553, names),))
    outputs = read_outputs(lists / "deepsentibank/classes.json")
    places = columns(data, "anp", outputs, Path("classes.json"))
    assert len(outputs) == 2_089
    assert [plain(outputs[place]) for place in places] == [
        plain(name) for name in Path(names).read_text().splitlines()
    ]


def test_a_json_file_that_is_no_list_of_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('{"a": 1}')
    with pytest.raises(NamingError, match="or a JSON list"):
        read_outputs(tmp_path / "names.json")
