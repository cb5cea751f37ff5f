"""`netgen log`: logs of real trainings, and of Caffe's other builds in their own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.networks import dataset, make_databases

from netgen.commands.cli import main
from netgen.paper.implied import chance

# What BVLC 1.0 writes: the nets, the speed in the middle of a line, a second test net.
LOG_OF_1_0 = """\
I0816 10:00:00.000001 123 caffe.cpp:204] Using GPUs 0
I0816 10:00:01.000001 123 net.cpp:51] Initializing net from parameters:
name: "tiny"
state { phase: TRAIN }
layer { name: "fc_noun" type: "InnerProduct" bottom: "data" top: "fc_noun"
  inner_product_param { num_output: 167 } }
I0816 10:00:01.000002 123 net.cpp:51] Initializing net from parameters:
name: "tiny"
state { phase: TEST }
layer { name: "fc_noun" type: "InnerProduct" bottom: "data" top: "fc_noun"
  inner_product_param { num_output: 167 } }
layer { name: "acc" type: "Accuracy" bottom: "fc_noun" bottom: "label" top: "right"
  accuracy_param { top_k: 5 } }
I0816 10:00:02.000001 123 solver.cpp:239] Iteration 0 (-nan iter/s, 0s/20 iters), loss = 5.1
I0816 10:00:02.000002 123 solver.cpp:258]     Train net output #0: loss_noun = 5.1 (* 1 = 5.1 loss)
I0816 10:00:09.000001 123 solver.cpp:347] Iteration 20, Testing net (#0)
I0816 10:00:11.000002 123 solver.cpp:414]     Test net output #0: right = 0.5
I0816 10:00:11.100001 123 solver.cpp:239] Iteration 20 (2 iter/s, 10s/20 iters), loss = 4.2
I0816 10:00:11.100002 123 solver.cpp:258]     Train net output #0: loss_noun = 4.2 (* 1 = 4.2 loss)
"""


def netgen_log(*words: object) -> Result:
    return CliRunner().invoke(main, ["log", *map(str, words)])


def test_a_real_log_tells_every_loss_and_accuracy_beside_guessing(real_log: Path) -> None:
    told = netgen_log(real_log)
    assert told.exit_code == 0, told.output
    for name in ("loss_noun", "loss_adj", "top1_noun", "top5_noun", "top1_adj"):
        assert name in told.output
    assert "top5_adj" not in told.output  # 3 classes
    assert "14.29 %" in told.output  # 1/7
    assert "not finished" not in told.output


def test_the_json_has_every_display_and_every_test_of_a_real_log(real_log: Path) -> None:
    told = json.loads(netgen_log(real_log, "--json").output)
    assert [reading["iteration"] for reading in told["train"]] == list(range(8))
    assert [reading["iteration"] for reading in told["test"]] == [4, 8]
    assert set(told["train"][0]) == {"iteration", "loss_noun", "loss_adj"}
    assert told["finished"]


def test_guessing_knows_the_training_labels_and_is_measured_on_the_test_set(
    real_log: Path,
) -> None:
    data = dataset({"noun": 7, "adj": 3}, (3, 16, 16), records=12)
    made = make_databases(data, real_log.parent / "again")
    train, test = (made[phase].labels["noun"].tolist() for phase in ("TRAIN", "TEST"))
    order = sorted(range(7), key=lambda label: (-train.count(label), label))
    told = netgen_log(real_log).output
    assert "Most frequent: always the classes with the most training images." in told
    for k in (1, 5):
        (line,) = (line for line in told.splitlines() if line.startswith(f"top{k}_noun"))
        hits = sum(test.count(label) for label in order[:k])
        assert line.split()[5:7] == [f"{100 * hits / 12:.2f}", "%"]


def test_an_accuracy_beside_a_loss_of_nan_means_nothing(tmp_path: Path) -> None:
    loss = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc_noun" top: "loss_noun" }\n'
    log = tmp_path / "nan.log"
    log.write_text(
        LOG_OF_1_0.replace("I0816 10:00:02.000001", loss + "I0816 10:00:02.000001").replace(
            "right = 0.5\n", "right = 1\nI0816 10:00:11.000003 123 solver.cpp:414]"
            "     Test net output #1: loss_noun = nan (* 1 = nan loss)\n"
        )
    )  # fmt: skip
    told = netgen_log(log).output
    assert "MEANS NOTHING" in told
    assert "A loss is nan" in told
    assert "x guessing" not in told


def test_a_number_that_was_cut_off_is_no_number(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    cut = "I0816 10:00:20.000001 123 solver.cpp:414]     Test net output #0: right = 0."
    log.write_text(LOG_OF_1_0.replace("right = 0.5\n", "right = 0.9\n") + cut)
    told = netgen_log(log)
    assert "90.00 %" in told.output
    assert "not finished" in told.output


def test_the_json_has_null_for_nan(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(LOG_OF_1_0.replace("loss_noun = 4.2 (", "loss_noun = nan ("))
    told = netgen_log(log, "--json").output
    assert json.loads(told, parse_constant=pytest.fail)["train"][1]["loss_noun"] is None


def test_a_log_that_goes_on_after_the_end_of_a_run_has_not_finished(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    done = "I0816 10:00:12.000001 123 solver.cpp:332] Optimization Done.\n"
    log.write_text(LOG_OF_1_0 + done)
    assert "not finished" not in netgen_log(log).output
    log.write_text(LOG_OF_1_0 + done + LOG_OF_1_0)
    assert "not finished" in netgen_log(log).output


def test_what_the_threads_that_read_data_say_hides_no_output(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    beside = (
        "I0816 10:00:02.000001 124 data_layer.cpp:73] Restarting data prefetching from start.\n"
        "I0816 10:00:02.000001 125 blocking_queue.cpp:49] Waiting for data\n"
    )
    lines = LOG_OF_1_0.splitlines(keepends=True)
    log.write_text("".join(f"{line}{beside if 'solver.cpp' in line else ''}" for line in lines))
    told = json.loads(netgen_log(log, "--json").output)
    assert [reading["iteration"] for reading in told["train"]] == [0, 20]
    assert told["test"] == [{"iteration": 20, "right": 0.5}]


@pytest.mark.parametrize(
    ("line", "rule"),
    [("Iteration 20 (2 iter/s, 10s/20 iters), loss", "against the image (Caffe 1.0)"),
     ("Iteration 20, loss", "in favour of the last class (Caffe of 2016)")],
)  # fmt: skip
def test_the_rule_for_equal_scores_is_that_of_the_caffe_that_wrote_the_log(
    tmp_path: Path, line: str, rule: str
) -> None:
    log = tmp_path / "train.log"
    text = LOG_OF_1_0.replace("Iteration 0 (-nan iter/s, 0s/20 iters), loss", line)
    log.write_text(text.replace("Iteration 20 (2 iter/s, 10s/20 iters), loss", line))
    assert f"Equal scores count {rule}.\n" in netgen_log(log).output


@pytest.mark.parametrize(
    ("classes", "k", "printed"),
    [(167, 1, 0.60), (167, 5, 2.96), (117, 5, 4.20), (553, 1, 0.18), (553, 5, 0.90)],
)
def test_chance_is_what_table_2_prints(classes: int, k: int, printed: float) -> None:
    assert round(100 * chance(classes, k), 2) == printed


def test_a_log_of_caffe_1_0_is_read_with_the_nets_printed_in_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(LOG_OF_1_0)
    told = netgen_log(log)
    assert told.exit_code == 0, told.output
    assert "fell" in told.output
    assert "2.96 %" in told.output  # chance of top-5 among 167
    assert "not finished" in told.output


@pytest.mark.parametrize("share", [0.62, 0.8, 0.95, 0.999])
def test_a_log_cut_off_anywhere_is_read_as_far_as_it_goes(tmp_path: Path, share: float) -> None:
    log = tmp_path / "log"
    log.write_text(LOG_OF_1_0[: int(share * len(LOG_OF_1_0))])
    told = netgen_log(log)
    assert told.exit_code == 0, told.output
    assert "not finished" in told.output


def test_a_loss_that_rises_or_is_nan_is_said_not_to_have_fallen(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for last in ("6.3", "nan"):
        log.write_text(LOG_OF_1_0.replace("loss_noun = 4.2 (", f"loss_noun = {last} ("))
        assert "DID NOT FALL" in netgen_log(log).output


def test_an_accuracy_below_guessing_is_said_to_be_no_better(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(LOG_OF_1_0.replace("right = 0.5", "right = 0.02"))
    assert "NO BETTER THAN GUESSING" in netgen_log(log).output


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 a picture", b"no training here\n"])
def test_a_file_that_is_no_log_gives_one_message(tmp_path: Path, content: bytes) -> None:
    log = tmp_path / "log"
    log.write_bytes(content)
    told = netgen_log(log)
    assert told.exit_code == 1
    assert "no iteration in it" in told.output
    assert "tee" in told.output  # the next step


def test_a_log_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    assert netgen_log(tmp_path / "none").exit_code == 2
