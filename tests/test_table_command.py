"""`netgen table`: the commands of Table 2, what is done, and the table, measured beside printed."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from support.caffe_child import in_caffe
from support.evaluation import random_network
from support.networks import TRAINED, VARIANTS, dataset, make_databases
from support.networks_in_caffe import save_random_weights
from support.training import Place

from netgen import paper
from netgen.commands.cli import main
from netgen.evaluation.results import (
    CloseCalls,
    FileUsed,
    TaskResult,
    accuracy,
    read_result,
    write_result,
)
from netgen.evaluation.results import Result as Evaluated
from netgen.network.dataset import Dataset, Task, write_dataset
from netgen.system.files import write_all


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, ["table", *words])


def plan(*words: str) -> list[tuple[str, bool]]:
    """The commands, and whether each is done."""
    result = table("--dry-run", *words)
    assert result.exit_code == 0, result.output
    lines = result.stdout.split("\n\n")[0].splitlines()
    return [(line.removeprefix("# done: "), line.startswith("# done: ")) for line in lines]


def evaluated(variant: str, task: str, top1: int, dataset: str = "mtvso") -> None:
    """Leave a result as `netgen eval` does: so many of 1,000 right."""
    used = FileUsed("some", "0" * 64)
    right = accuracy(top1, 500, 1000)
    of_task = TaskResult(task, 9, None, right, CloseCalls(0, 0, 0, 0), (), (), right)
    found = Evaluated(1, variant, dataset, 1000, used, used, 7, "caffe", {}, (of_task,))
    Path("results").mkdir(exist_ok=True)
    write_result(found, Path(f"results/{variant}.json"))


def journal(variant: str, *entries: dict[str, object]) -> None:
    lines = "".join(json.dumps(entry) + "\n" for entry in entries)
    write_all({Path(f"runs/{variant}/run.json"): "{}", Path(f"runs/{variant}/log.jsonl"): lines})


def some_pairs() -> Dataset:
    """Leave data/mtvso as `netgen data mtvso` does: the class names, and some random images."""
    classes = {"noun": 2, "adj": 2, "anp": 4}
    data = dataset(classes, (3, 64, 64), folder="data/mtvso")
    make_databases(data, Path())
    names = {"noun": "dog cat", "adj": "big old", "anp": "big_dog big_cat old_dog old_cat"}
    write_all({Path(f"data/mtvso/{task}.txt"): "\n".join(of.split()) for task, of in names.items()})
    tasks = tuple(Task(task, count, f"data/mtvso/{task}.txt") for task, count in classes.items())
    named = replace(data, name="mtvso", tasks=tasks)
    write_dataset(named, Path("data/mtvso/dataset.toml"))
    return named


def test_every_network_is_built_initialised_trained_and_evaluated_in_table_2s_order() -> None:
    steps = json.loads(table("--json").stdout)["steps"]
    assert list(dict.fromkeys(step["variant"] for step in steps)) == VARIANTS
    for variant in TRAINED:
        mine = [shlex.split(step["command"])[1] for step in steps if step["variant"] == variant]
        assert mine == ["build", "init", "train", "eval"]


def test_deepsentibank_is_evaluated_as_it_was_published_with_its_classes() -> None:
    lines = [line for line, _ in plan("--only", "deepsentibank", "--weights", "w")]
    assert lines == [
        "netgen build --variant deepsentibank --dataset data/mtvso/dataset.toml",
        "netgen eval --variant deepsentibank --dataset data/mtvso/dataset.toml"
        " --net models/deepsentibank/deploy.prototxt"
        " --weights w/caffe_sentibank_train_iter_250000 --classes w/deepsentibank.txt"
        " --out results/deepsentibank.json",
    ]


def test_what_is_not_trained_is_built_without_options_of_training() -> None:
    cpu = ("--only", "deepsentibank", "--weights", "w", "--solver-mode", "cpu")
    build, _ = (line for line, _ in plan(*cpu))
    assert build == "netgen build --variant deepsentibank --dataset data/mtvso/dataset.toml"


def test_networks_are_built_for_the_cpu_where_that_is_asked_for() -> None:
    build, _, train, evaluate = (line for line, _ in plan("--only", "xs", "--solver-mode", "cpu"))
    assert build.endswith(" --solver-mode cpu")
    assert "gpu" not in train + evaluate
    refused = table("--solver-mode", "cpu", "--gpu", "0", "--only", "xs")
    assert refused.exit_code == 2
    assert "trains without a GPU" in refused.stderr


def test_what_is_there_is_done() -> None:
    some_pairs()
    CliRunner().invoke(main, ["build", "--variant", "xs", "--dataset", "data/mtvso/dataset.toml"])
    assert [done for _, done in plan("--only", "xs")] == [True, False, False, False]
    Path("models/xs/initial.caffemodel").touch()
    assert [done for _, done in plan("--only", "xs")] == [True, True, False, False]


def test_a_network_for_other_images_is_built_again_unless_its_training_has_begun() -> None:
    """The committed ones are of no dataset; images that are missing change the mean."""
    dataset = Path("data/mtvso/dataset.toml")
    CliRunner().invoke(main, ["build", "--variant", "xs"])
    assert [done for _, done in plan("--only", "xs")] == [False] * 4
    data = some_pairs()
    CliRunner().invoke(main, ["build", "--variant", "xs", "--dataset", str(dataset)])
    assert plan("--only", "xs")[0][1]
    darker = replace(data.images, mean=(98.0, 49.0, 104.0))
    write_dataset(replace(data, images=darker), dataset)
    assert not plan("--only", "xs")[0][1]
    journal("xs", {"event": "start", "iteration": 0})
    assert plan("--only", "xs")[0][1]


def test_a_training_that_was_stopped_is_resumed_and_then_evaluated() -> None:
    snapshots: list[dict[str, object]] = [
        {"event": "snapshot", "iteration": n, "model": f"snapshots/{n}.caffemodel", "best": n == 1}
        for n in (1, 2)
    ]
    journal("xs", *snapshots, {"event": "end", "iteration": 2, "why": "stopped", "what": ""})
    lines = plan("--only", "xs")
    assert lines[2] == ("netgen train --resume --run runs/xs", False)
    journal("xs", *snapshots, {"event": "end", "iteration": 2, "why": "converged", "what": ""})
    lines = plan("--only", "xs")
    assert lines[1][1]
    assert lines[2][1]
    assert "--weights runs/xs " in lines[3][0]  # its newest snapshot, not the best


def test_the_table_has_every_printed_cell_and_its_results_as_they_arrive() -> None:
    evaluated("caffenet-noun", "noun", 361)
    rows = json.loads(table("--json").stdout)["rows"]
    for row, printed in zip(rows, paper.TABLE_2, strict=True):
        assert (row["network"], row["task"]) == (printed.network, printed.task)
        assert (row["parameters"], row["top1"], row["top5"]) == (
            printed.parameters, printed.top1, printed.top5,
        )  # fmt: skip
        if printed.parameters not in ("", "–"):
            assert row["parameters_counted"] == printed.parameters
    measured = {(row["network"], row["task"]): row["top1_measured"] for row in rows}
    assert measured["CaffeNet", "noun"] == "36.10"
    assert measured["CaffeNet", "adj"] == ""
    assert measured["Chance", "noun"] == "0.60"
    assert plan("--only", "caffenet-noun")[-1][1]


def test_the_table_shows_a_measured_accuracy_beside_the_printed_one() -> None:
    evaluated("caffenet-noun", "noun", 361)
    result = table("--dry-run", "--only", "caffenet-noun")
    [line] = [line for line in result.stdout.splitlines() if line.startswith("CaffeNet")]
    cells = ["CaffeNet", "noun", "57.55", "57.55", "36.11", "36.10", "63.48", "50.00"]
    assert line.split()[:8] == cells


def test_a_result_on_other_data_is_refused() -> None:
    evaluated("xs", "noun", 100, dataset="fashion-mnist")
    result = table("--dry-run", "--only", "xs")
    assert result.exit_code == 1
    assert (
        "results/xs.json: is of xs on fashion-mnist, but Table 2 needs xs on mtvso" in result.stderr
    )


def test_what_is_missing_is_named_and_nothing_is_run() -> None:
    result = table("--only", "vgg16-adj")
    assert result.exit_code == 1
    assert (
        "not there: data/mtvso/dataset.toml, weights/VGG_ILSVRC_16_layers.caffemodel: nothing was"
    ) in result.stderr
    assert "`netgen data mtvso IMAGES --out data/mtvso` makes data/mtvso/dat" in result.stderr
    assert not list(Path().iterdir())


def test_an_unknown_network_is_wrong_usage() -> None:
    result = table("--dry-run", "--only", "x2")
    assert result.exit_code == 2
    assert "unknown variant 'x2'" in result.stderr


def test_the_images_that_there_are_decide_not_the_papers_counts() -> None:
    """DeepSentiBank's row from its published weights, and with the class names of the dataset."""
    data, weights = some_pairs(), Path("weights/caffe_sentibank_train_iter_250000")
    words = ["build", "--variant", "deepsentibank", "--dataset", "data/mtvso/dataset.toml"]
    assert CliRunner().invoke(main, words).exit_code == 0
    weights.parent.mkdir()
    in_caffe(
        save_random_weights, "models/deepsentibank/deploy.prototxt", str(weights), folder=Path.cwd()
    )
    others = [f"pair {number}" for number in range(paper.DEEPSENTIBANK_PAIRS - 4)]
    names = ["Old Cat", "old dog", *others, "big cat", "big dog"]
    Path("weights/deepsentibank.txt").write_text("\n".join(names))
    done = Place(Path.cwd()).netgen("table", "--only", "deepsentibank")
    assert done.returncode == 0, done.stdout
    result = read_result(Path("results/deepsentibank.json"))
    assert result.records == data.test.records
    assert [(task.name, task.classes) for task in result.tasks] == [("anp", 4)]


def test_a_command_that_fails_stops_the_table_and_what_was_done_stays() -> None:
    weights = Path("weights/caffe_sentibank_train_iter_250000")
    write_all({weights: b"not a caffemodel", Path("weights/deepsentibank.txt"): "one\n"})
    some_pairs()
    result = table("--only", "deepsentibank")
    assert result.exit_code in {1, 2}
    assert "the same `netgen table` resumes from here" in result.stderr
    assert [done for _, done in plan("--only", "deepsentibank")] == [True, False]


STARTS = """
import sys
from netgen.pipeline.running.launch import start
running = start(tuple(sys.argv[1:]))
print(running.pid, flush=True)
running.wait()
"""


def _ended(pid: int) -> bool:
    """Whether a process has ended; its parent may not have been told yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _waits_for_input(pid: int) -> bool:
    try:
        return "pipe_read" in Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("at_work", [False, True])
def test_a_table_that_is_killed_leaves_no_command_running(tmp_path: Path, at_work: bool) -> None:
    """As `netgen table` starts commands: one that has just begun, and one that waits for input."""
    network, weights = random_network("x0", dataset({"noun": 7}, (1, 28, 28)), tmp_path)
    words = ("predict", "-", "--net", network, "--weights", weights, "--engine", "opencv")
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS, *map(str, words)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout is not None
    command = int(parent.stdout.readline())
    deadline = time.monotonic() + 240
    while at_work and not _waits_for_input(command):
        assert not _ended(command)
        assert time.monotonic() < deadline
        time.sleep(0.01)
    parent.kill()
    while not _ended(command):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    parent.communicate()
