"""Logs inspected: of a real Caffe, and in the words of builds that print their nets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.audit import DEPLOY, SOLVER, XS, differing, shown
from support.logs import falling, log_of_a_training, told

from netgen.audit.inspection import InspectionFinding, InspectionVerdict, Rule, inspect
from netgen.caffe.training_log import LogError

Change = Callable[[str], str]


def inspected(
    folder: Path, change: Change | None = None, **others: Path
) -> list[InspectionFinding]:
    path = folder / "xs.log"
    text = log_of_a_training()
    path.write_text(change(text) if change else text, encoding="utf-8")
    return inspect(log=path, **others, deep=False, numeric=False)


def test_a_log_of_the_papers_training_is_found_so(tmp_path: Path) -> None:
    found = inspected(tmp_path)
    assert not differing(found), shown(found)
    said = "\n".join(finding.what for finding in found)
    for words in (
        "X_S-ResNet-50 (xs): all 308 layers",
        "momentum 0.9, the paper's is 0.9",
        "test_iter 25,691 x batch_size 3 = 77,073",
        "0.001 at iteration 0, the paper starts at 0.001",
        "falls tenfold at iteration 128,000, 256,000 (section 5.2",
        "loaded from ResNet-50-model.caffemodel",
        "the file's layers fc1000 were ignored",
        "top-1 of anp 22.89%, Table 2 prints 22.89 for X_S-ResNet-50 (+0.0 standard errors",
        "trained to iteration 320,000, 25 epochs at 24 images an iteration; finished",
    ):
        assert words in said, words


def swap(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (swap("momentum: 0.9\n", "momentum: 0.95\n"), "momentum", "momentum 0.95"),
        (swap("lr = 0.0001", "lr = 0.0005"), "learning rate", "divided by 2 at iteration 128,000"),
        (swap("0, lr = 0.001\n", "0, lr = 0.01\n"), "learning rate", "0.01 at iteration 0"),
        (swap("batch_size: 24", "batch_size: 32"), "iter_size", "1 x batch_size 32 = 32"),
        (swap("top1_anp = 0.2289", "top1_anp = 0.2074"), "iteration 320,000", "20.74%, Table 2"),
        (swap("loss_noun = 5.1", "loss_noun = nan"), "losses", "the training diverged"),
        (swap('top: "cross5b_adj_noun"', 'top: "cross5b_adj_noun" loss_weight: 1'), "loss_weight",
         "loss_weight 1, the paper's network has nothing"),
    ],
)  # fmt: skip
def test_a_change_in_a_log_is_named(change: Change, where: str, what: str, tmp_path: Path) -> None:
    found = differing(inspected(tmp_path, change))
    assert any(f.where.endswith(where) and what in f.what for f in found), shown(found)


def test_an_accuracy_within_two_standard_errors_is_as_good(tmp_path: Path) -> None:
    found = inspected(tmp_path, swap("top1_noun = 0.4218", "top1_noun = 0.4240"))
    told = next(finding for finding in found if "top1_noun" in finding.where)
    assert told.verdict is InspectionVerdict.EQUIVALENT
    assert "(+1.2 standard errors of 77,073 test images)" in told.what


@pytest.mark.parametrize("lost", [30, 77, 400, 1200])
def test_a_log_cut_off_mid_line_is_inspected_as_far_as_it_goes(lost: int, tmp_path: Path) -> None:
    found = inspected(tmp_path, lambda text: text[:-lost])
    assert any("was cut off" in finding.what for finding in found)
    assert not [f for f in differing(found) if "iteration" not in f.where], shown(found)


def test_a_log_without_nets_is_read_with_the_network_given(tmp_path: Path) -> None:
    def without_nets(text: str) -> str:
        head, _, rest = text.partition("I0816 10:00:01")
        return head + rest[rest.index("I0816 10:00:02") :]

    bare = inspected(tmp_path, without_nets)
    assert any("which row of Table 2 it belongs to is not known" in f.what for f in bare)
    found = inspected(tmp_path, without_nets, net=XS)
    assert not differing(found), shown(found)
    assert any("Table 2 prints 42.18" in finding.what for finding in found)
    assert any("25,691 x batch_size 3" in finding.what for finding in found)


def cut_off(change: Change = str) -> Change:
    """A log whose printed nets are cut off, as glog cuts them, and whose layers are told."""

    def cut(text: str) -> str:
        head, _, rest = text.partition("I0816 10:00:01")
        lines = [f"I0816 10:00:01.000001 123 {line}" for line in told("xs")]
        return head + change("\n".join(lines)) + "\n" + rest[rest.index("I0816 10:00:02") :]

    return cut


def without(*outputs: str) -> Change:
    """A log whose last test does not tell these outputs."""

    def change(text: str) -> str:
        lines = text.splitlines(keepends=True)
        return "".join(x for x in lines if not any(f": {name} = " in x for name in outputs))

    return change


def test_an_accuracy_that_the_last_test_does_not_tell_is_missed(tmp_path: Path) -> None:
    found = differing(inspected(tmp_path, without("top1_noun", "top5_adj")))
    (told,) = found
    assert "the last test does not tell top1_noun, top5_adj, outputs of the log's own" in told.what
    assert told.rule is Rule.ITSELF


def test_an_accuracy_that_only_table_2_has_cannot_be_checked(tmp_path: Path) -> None:
    def unmeasured(text: str) -> str:
        return without("top1_noun", "top5_noun")(cut_off()(text))

    found = inspected(tmp_path, unmeasured)
    assert not differing(found), shown(found)
    told = next(finding for finding in found if finding.where.endswith(": test"))
    assert told.verdict is InspectionVerdict.NOT_CHECKABLE
    assert told.what.startswith("the last test does not tell top-1 of noun, top-5 of noun; Table 2")


def test_snapshots_tell_how_far_a_run_of_netgen_train_came(tmp_path: Path) -> None:
    """Its caffe.log has the first loss and the snapshots; the rest is in log.jsonl."""

    def quiet(text: str) -> str:
        lines = text[: text.index("solver.cpp:347]")].splitlines(keepends=True)[:-1]
        told = [x for x in lines if "Iteration" not in x or "Iteration 0," in x]
        snapshot = next(x for x in lines if "Snapshotting" in x)
        return "".join([*told, snapshot])

    found = inspected(tmp_path, quiet)
    told = next(f for f in found if f.where.endswith(": iterations"))
    assert "trained to iteration 320,000, 25 epochs" in told.what
    assert "log.jsonl" in told.what


@pytest.mark.parametrize("line", ["{}, loss = 5.1", "{}, Testing net (#0)", "{}, lr = 0.001"])
def test_a_number_that_is_no_iteration_is_passed_over(line: str, tmp_path: Path) -> None:
    huge = "I0816 10:00:02.000001 123 solver.cpp:239] Iteration " + line.format("9" * 5000)
    found = inspected(tmp_path, lambda text: f"{text}{huge}\n")
    assert not differing(found), shown(found)
    assert any("trained to iteration 320,000, 25 epochs" in finding.what for finding in found)


def test_a_network_is_recognised_by_the_layers_that_the_log_tells_of(tmp_path: Path) -> None:
    found = inspected(tmp_path, cut_off())
    assert not differing(found), shown(found)
    said = "\n".join(finding.what for finding in found)
    assert "are X_S-ResNet-50 (xs)'s" in said
    assert "Table 2 prints 22.89 for X_S-ResNet-50" in said


def test_a_network_with_another_bottom_is_not_recognised(tmp_path: Path) -> None:
    other = swap("res5b_anp <- cross5b_adj_anp", "res5b_anp <- cross5b_noun_adj")
    found = inspected(tmp_path, cut_off(other))
    assert any("does not print it whole: give the network, too" in f.what for f in found)
    found = inspected(tmp_path, cut_off(other), net=XS)
    assert any("res5b_anp" in f.what and f.rule is Rule.ITSELF for f in differing(found))


def test_the_log_of_a_real_training_tells_its_solver_and_batches(real_log: Path) -> None:
    found = inspect(log=real_log)
    said = [finding.what for finding in differing(found)]
    assert "iter_size 1 x batch_size 4 = 4, the paper's is 24 (section 5.2)" in said
    assert any(
        "batches of 4 x 3 x 16 x 16, the paper's images are 224 x 224" in what for what in said
    )
    # Batches in both phases, iter_size, the number of tests, the end (of the solver, and of the
    # training), and the narrow network itself.
    assert len(said) == 7, shown(found)


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0" + bytes(5000), b"", b"no log\n" * 100])
def test_what_is_no_log_is_one_clear_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(LogError, match="no iteration in it"):
        inspect(log=path)
    with pytest.raises(LogError, match="check the path"):
        inspect(log=tmp_path / "nowhere.log")
    with pytest.raises(LogError, match="check the path"):
        inspect(log=tmp_path)


def test_everything_at_once_is_told_in_order(tmp_path: Path) -> None:
    solver = tmp_path / "solver.prototxt"
    solver.write_text(falling(SOLVER.read_text(encoding="utf-8")), encoding="utf-8")
    found = inspected(tmp_path, net=DEPLOY, solver=solver)
    files_told = [finding.where.partition(":")[0] for finding in found]
    assert list(dict.fromkeys(files_told)) == [str(DEPLOY), str(solver), str(tmp_path / "xs.log")]
    assert not differing(found), shown(found)
