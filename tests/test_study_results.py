"""What follows from a study's numbers: verdicts, intervals, the choice, the committed report."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy import stats
from support.paths import ROOT
from support.studies import miniature, synthetic

from netgen.commands.study_running import print_choice
from netgen.pipeline.reporting.seen import seen_at
from netgen.pipeline.reporting.sentences import SentenceVerdict, comparisons, findings
from netgen.pipeline.reporting.statistics import mean, seeds_to_decide
from netgen.pipeline.reporting.study_report import report_page
from netgen.pipeline.running.records import StudyResults, best, means, read_results, write_results
from netgen.pipeline.study.study_changes import Changes
from netgen.pipeline.study.study_file import Study
from netgen.pipeline.study.study_plan import Plan, plan_study
from netgen.pipeline.study.study_reading import committed
from netgen.pipeline.study.study_settings import StudyError
from netgen.system.files import write_all

FOLDER = ROOT / "experiments/miniature"
PAPER: dict[str, tuple[float, ...]] = {
    "resnet50": (60, 50, 40),
    "x0": (58, 48, 36),
    "x1": (40, 30, 20),
    "xs": (61, 51, 41),
}


@pytest.fixture(scope="module")
def study() -> Study:
    return miniature().study


def verdicts(study: Study, results: StudyResults) -> dict[str | None, SentenceVerdict]:
    [(_, found)] = findings(study, results).places
    return {finding.sentence.claim: finding.verdict for finding in found}


def test_the_papers_own_order_is_seen_in_full(study: Study) -> None:
    found = verdicts(study, synthetic(PAPER, 0.1))
    assert set(found.values()) == {SentenceVerdict.SEEN}
    assert len(found) == 10


@pytest.mark.parametrize(
    ("changed", "claims"),
    [
        ({"x1": (57, 47, 35)}, {"x1-drops"}),
        ({"x0": (60.5, 50.5, 40.5)}, {"x0-below-single"}),
        (
            {"xs": (57, 47, 35)},
            {"xs-above-x0", "xs-above-single", "three-networks", "gain-largest"},
        ),
        ({"xs": (59.5, 49.5, 39.5)}, {"xs-above-single"}),
    ],
)
def test_what_is_the_other_way_round_is_not_seen(
    study: Study, changed: dict[str, tuple[float, ...]], claims: set[str]
) -> None:
    found = verdicts(study, synthetic(PAPER | changed, 0.1))
    assert {name for name, of in found.items() if of is SentenceVerdict.NOT_SEEN} == claims


def test_what_the_seeds_disagree_on_is_undecided(study: Study) -> None:
    found = verdicts(study, synthetic(PAPER, 30))
    assert found["xs-above-x0"] is SentenceVerdict.UNDECIDED


def test_one_seed_decides_nothing(study: Study) -> None:
    results = synthetic(PAPER, 0.1)
    one = replace(results, cells=tuple(cell for cell in results.cells if cell.seed == 1))
    assert set(verdicts(study, one).values()) == {SentenceVerdict.UNDECIDED}


def test_a_correction_for_the_number_of_comparisons_decides_less(study: Study) -> None:
    close = PAPER | {"xs": (59, 49, 37)}
    spread = 0.4
    alone = verdicts(study, synthetic(close, spread))
    corrected = replace(study, report=replace(study.report, correction="bonferroni"))
    together = verdicts(corrected, synthetic(close, spread))
    assert alone["xs-above-x0"] is SentenceVerdict.SEEN
    assert together["xs-above-x0"] is SentenceVerdict.UNDECIDED


def test_a_rate_of_false_discoveries_decides_more_than_bonferroni_and_less_than_none(
    study: Study,
) -> None:
    """By hand, of Benjamini and Hochberg: p <= 5% k / m, k the rank of the largest such p."""
    results = synthetic(PAPER | {"xs": (59, 49, 37)}, 0.4)
    seen = {
        correction: findings(replace(study, report=replace(study.report, correction=correction)),
                             results)
        for correction in ("none", "benjamini-hochberg", "bonferroni")
    }  # fmt: skip
    p = {
        correction: [c.mean.p or 0.0 for _, f in of.places for each in f for c in each.contrasts]
        for correction, of in seen.items()
    }
    alone = sorted(p["none"])
    m = seen["none"].comparisons
    assert len(alone) == m
    most = max(k for k, value in enumerate(alone, 1) if value <= 0.05 * k / m)
    assert p["benjamini-hochberg"] == pytest.approx([min(1, q * m / most) for q in p["none"]])
    assert p["bonferroni"] == pytest.approx([min(1, q * m) for q in p["none"]])
    decided = [sum(value < 0.05 for value in of) for of in p.values()]
    assert decided[0] >= decided[1] > decided[2]
    assert decided[1] == most


def test_networks_with_fewer_seeds_are_compared_on_those_that_both_have(study: Study) -> None:
    results = read_results(FOLDER / "results.json")
    found = {each.name: each for each in comparisons(seen_at(study, results, {}))}
    assert found["xs-fixed"].seeds == 3
    assert set(found["xs-fixed"].differences) == {"noun", "adj", "anp"}


def test_the_best_trial_is_that_of_the_best_mean_over_networks_and_their_tasks() -> None:
    trials = read_results(FOLDER / "results.json").trials
    found = means(trials)
    assert {trial: round(value, 2) for trial, value in found.items()} == {
        "0.01": 70.39, "0.03": 76.58, "0.1": 68.17,
    }  # fmt: skip
    assert best(found, list(found)) == "0.03"


def test_the_choice_is_printed_with_what_its_rule_gives_and_what_the_study_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_study(committed("miniature"), Changes(work=tmp_path))
    trials = read_results(FOLDER / "results.json").trials
    for trial in trials:
        write_all({tmp_path / f"records/{trial.name}.json": msgspec.json.encode(trial)})
    print_choice(plan)
    said = capsys.readouterr().out
    assert "0.03: 76.58%, mean of the networks" in said
    assert f"best: 0.03; {plan.file} has 0.03" in said
    (tmp_path / f"records/{trials[0].name}.json").unlink()
    print_choice(plan)
    assert "best" not in capsys.readouterr().out  # one is not made yet


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=9), st.floats(-50, 50))
def test_an_interval_moves_with_its_values_and_holds_their_mean(
    values: list[float], shift: float
) -> None:
    here, there = mean(values), mean([value + shift for value in values])
    assert here.low is not None
    assert here.high is not None
    assert here.low <= here.value <= here.high
    assert there.low == pytest.approx(here.low + shift, abs=1e-6)
    assert there.value == pytest.approx(here.value + shift, abs=1e-6)


def test_an_interval_is_students() -> None:
    """Gosset's own example: ten patients' hours of sleep gained by one drug over another."""
    hours = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = mean(hours)
    assert found.value == pytest.approx(1.58)
    assert found.p == pytest.approx(0.00283, abs=1e-5)
    assert found.low == pytest.approx(0.70, abs=0.005)
    assert found.high == pytest.approx(2.46, abs=0.005)
    assert found.p == pytest.approx(stats.ttest_rel(hours, [0.0] * 10).pvalue)


def test_the_seeds_that_decide_a_difference_are_those_of_the_t_test() -> None:
    """Cohen's tables: a difference of half a deviation takes 44 pairs, of one deviation 13."""
    one = [-1.0, 1.0, 0.0, -1.0, 1.0]  # of deviation 1
    assert seeds_to_decide(one, 0.5) == 44
    assert seeds_to_decide(one, 1.0) == 13
    assert seeds_to_decide([2 * value for value in one], 1.0) == 44
    assert seeds_to_decide([1.0], 0.5) is None
    assert seeds_to_decide([0.3, 0.3], 0.5) == 2


COMMITTED = ("miniature", "deciding", "map", "order")


def committed_plan(name: str) -> Plan:
    """The plan of a study whose results are committed."""
    return plan_study(committed(name))


def committed_page(name: str) -> str:
    plan, folder = committed_plan(name), ROOT / "experiments" / name
    pictures = {file.name for file in folder.glob("*.png")}
    plan = dataclasses.replace(plan, file=plan.file.relative_to(ROOT))
    return report_page(plan, read_results(folder / "results.json"), pictures)


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_report_is_what_its_results_and_its_study_give(name: str) -> None:
    """Else: `python tests/test_study_results.py`; a new run is needed for new numbers only."""
    page = ROOT / "experiments" / name / "README.md"
    assert page.read_text(encoding="utf-8") == committed_page(name)


@pytest.mark.parametrize("name", COMMITTED)
def test_committed_results_are_of_the_committed_study(name: str) -> None:
    """Every cell, with the settings that the study has now."""
    plan, results = committed_plan(name), read_results(ROOT / f"experiments/{name}/results.json")
    planned = {c.name: c.trained.settings.given() for c in plan.cells.values() if c.trained}
    trunks = {cell for cell in planned if cell.startswith("trunk-")}
    made = {cell.name for cell in results.cells} | trunks
    assert made == set(planned)
    assert all(cell.settings == planned[cell.name] for cell in results.cells)


if __name__ == "__main__":
    for each in COMMITTED:
        written = ROOT / "experiments" / each / "README.md"
        written.write_text(committed_page(each), encoding="utf-8")


def test_a_cell_with_more_right_than_there_are_images_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    write_results(synthetic(PAPER, 0.1), file)
    told = json.loads(file.read_text())
    told["cells"][0]["tasks"]["noun"]["top1"] = 100_001
    file.write_text(json.dumps(told))
    with pytest.raises(StudyError, match="100,001 of 100,000 images right"):
        read_results(file)
