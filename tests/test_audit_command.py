"""`netgen audit` at the command line, and AUDIT.md, which it writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.paths import ROOT

from netgen.audit import verdicts as audits
from netgen.audit.measurements.public_lists import LISTS as LISTS_BY_NAME
from netgen.audit.verdicts import ClaimVerdict
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.commands.audit import command
from netgen.paper.claims import ARGUMENTS, CLAIMS, PARTS, Argument

PAGE = ROOT / "AUDIT.md"
LISTS = ROOT.parent / "shared/data"
needs_lists = pytest.mark.skipif(
    not LISTS.is_dir(),
    reason="NOT CHECKED, AUDIT.md with class lists: they are not at ../shared/data (the page's end"
    " says where they are published)",
)


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner(env={"NETGEN_ONTOLOGY": ""} | (env or {})).invoke(command, arguments)


@pytest.fixture(scope="module")
def printed() -> Result:
    return run()


def test_the_audit_passes(printed: Result) -> None:
    assert printed.exit_code == 0, printed.output


def test_the_table_fits_100_columns_and_loses_nothing(printed: Result) -> None:
    assert max(map(len, printed.stdout.splitlines())) <= 100
    for word in ("43,184,007", "needs training", "excluded", "chosen", "33.3"):
        assert word in printed.stdout


def test_the_summary_counts_the_claims(printed: Result) -> None:
    summary = printed.stdout[printed.stdout.rindex(f"{len(CLAIMS)} claims: ") :]
    counts = [int(number) for number in re.findall(r"(\d+) [a-z]", summary)]
    assert sum(counts[1:]) == counts[0] == len(CLAIMS)


def test_it_needs_no_caffe() -> None:
    """A stand-in that cannot be imported is put in its place."""
    code = (
        "import sys; sys.modules['caffe'] = None\n"
        "from netgen.commands.audit import command; command(['--only', 'xs-params'])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("xs-params: reproduced")


def test_json_has_every_claim_and_reading() -> None:
    data = json.loads(run("--json").stdout)
    assert [claim["id"] for claim in data["claims"]] == list(CLAIMS)
    assert set(data["summary"]) <= {verdict.label for verdict in ClaimVerdict}
    assert all(reading["counts"] for reading in data["readings"])
    assert [argument["id"] for argument in data["arguments"]] == [one.id for one in ARGUMENTS]


def test_only_shows_a_claim_with_quote_and_evidence() -> None:
    result = run("--only", "xs-params")
    assert result.stdout.splitlines() == [
        "xs-params: reproduced",
        "  place    Table 2, X_S-ResNet-50, noun",
        "  quote    Noun (43.18) 42.18 70.04",
        "  printed  43.18",
        "  basis    counted in a network, by Caffe's rules",
        "  found    43,184,007",
        "  evidence `netgen count --variant xs`",
        "",
        "1 claims: 1 reproduced",
    ]


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda one: one.id)
def test_only_shows_an_argument_and_gives_it_no_verdict(argument: Argument) -> None:
    told = run("--only", argument.id)
    assert told.exit_code == 0
    first, *others = told.stdout.splitlines()
    assert first == f"{argument.id}: an argument, not measured: {argument.conclusion.value}"
    assert f"  because  {argument.because}" in others
    assert not any(verdict.label in first for verdict in ClaimVerdict)


@pytest.mark.parametrize("word", ["needs training", "needs-training", "NEEDS_TRAINING"])
def test_only_takes_a_verdict(word: str) -> None:
    data = json.loads(run("--only", word, "--json").stdout)
    assert {claim["verdict"] for claim in data["claims"]} == {"needs training"}


def test_only_takes_part_of_a_name() -> None:
    data = json.loads(run("--only", "xs-*", "--only", "batch", "--json").stdout)
    names = [claim["id"] for claim in data["claims"]]
    assert "xs-anp-top1" in names
    assert "batch" in names
    assert len(names) < 15


def test_a_claim_that_there_is_not_is_refused() -> None:
    result = run("--only", "nonsense")
    assert result.exit_code == 2
    assert "no claim has this verdict or name: nonsense (`netgen audit` lists them)" in (
        " ".join(result.stderr.split())
    )


@pytest.mark.parametrize("known", ["nouns", "needs training", "equation-3"])
def test_each_word_of_several_is_checked(known: str) -> None:
    result = run("--only", known, "--only", "nope")
    assert result.exit_code == 2
    assert "no claim has this verdict or name: nope (" in " ".join(result.stderr.split())


def test_a_folder_of_results_without_any_of_the_papers_test_set_is_named(tmp_path: Path) -> None:
    result = run("--results", str(tmp_path), "--only", "batch")
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert f"no result of the paper's test set is in {tmp_path}" in line


def test_a_folder_below_or_above_the_one_of_the_class_lists_is_named(tmp_path: Path) -> None:
    (tmp_path / "mtvso").mkdir()
    (tmp_path / "mtvso/mtvso_nounlabels.txt").write_text("dog\n", encoding="utf-8")
    result = run("--ontology", str(tmp_path / "mtvso"), "--only", "batch")
    (line,) = result.stderr.splitlines()
    assert f"none of the class lists is in {tmp_path}/mtvso: give the folder above them" in line
    assert "none of the class lists" not in run("--ontology", str(tmp_path)).stderr


def test_an_ontology_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    assert run("--ontology", str(tmp_path / "none")).exit_code == 2


def test_it_exits_with_1_when_a_claim_is_not_reproduced(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "Section 5.2: the experiments"
    broken = tuple(
        replace(claim, printed=("32",)) if claim.id == "batch" else claim for claim in PARTS[name]
    )
    monkeypatch.setattr(audits.audit, "__defaults__", (PARTS | {name: broken},))
    result = run()
    assert result.exit_code == 1
    assert "1 not reproduced" in result.stdout


# ---- AUDIT.md -----------------------------------------------------------------------------------


@needs_lists
def test_the_committed_page_is_fresh() -> None:
    """Renew it: netgen audit --ontology ../shared/data --markdown > AUDIT.md."""
    result = run("--ontology", str(LISTS), "--check", str(PAGE))
    assert result.exit_code == 0, result.output


def test_the_committed_page_is_fresh_in_what_needs_no_class_lists() -> None:
    """For who has no class lists: every other line is as it would be written."""
    written = run("--markdown").stdout.splitlines()
    lines = [line for line in written if line.startswith(("| ", "#")) and "needs data" not in line]
    counts = {f"| {verdict.label} |" for verdict in ClaimVerdict}
    told = [
        line for line in lines if not any(re.match(rf"{re.escape(c)} \d", line) for c in counts)
    ]
    assert [
        line for line in told if line not in PAGE.read_text(encoding="utf-8").splitlines()
    ] == []


def test_a_page_that_is_not_fresh_is_shown_where(tmp_path: Path) -> None:
    stale = tmp_path / "AUDIT.md"
    stale.write_text(run("--markdown").stdout.replace("43,184,007", "43,184,008"), "utf-8")
    result = run("--check", str(stale))
    assert result.exit_code == 1
    assert "differs: update it with `netgen audit --markdown > " in result.stderr
    assert "43,184,008" in result.stdout


def test_the_page_says_where_class_lists_are_published_and_which_file_is_meant() -> None:
    page = PAGE.read_text(encoding="utf-8").replace("\\_", "_")
    for listed in LISTS_BY_NAME.values():
        assert f"| {listed.file} | {listed.published} | `{listed.sha256}` |" in page


def test_the_page_has_no_latex() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"\\[a-z]+", page) == []
    assert "zero √(2/n\\_l): “zero mean random Gaussian with a √(2/n\\_l)" in page


def test_the_page_has_no_path_of_this_machine() -> None:
    assert str(ROOT) not in PAGE.read_text(encoding="utf-8")


@needs_lists
def test_the_class_lists_may_be_named_by_the_environment() -> None:
    result = run("--only", "nouns", env={"NETGEN_ONTOLOGY": str(LISTS)})
    assert result.stdout.startswith("nouns: reproduced\n")


# ---- files that others made ---------------------------------------------------------------------


def test_our_own_files_are_the_papers() -> None:
    files = ("--net", "models/xs/train_val.prototxt", "--solver", "solvers/xs.prototxt")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        result = run(*files)
    assert result.exit_code == 0, result.output
    assert "same" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    titles = [line.strip() for line in result.stdout.splitlines()]
    assert titles.count("models/xs/train_val.prototxt") == 1, "a title for each file"


def test_a_solver_with_another_momentum_differs(tmp_path: Path) -> None:
    solver = tmp_path / "solver.prototxt"
    text = (ROOT / "solvers/xs.prototxt").read_text(encoding="utf-8")
    solver.write_text(text.replace("momentum: 0.9", "momentum: 0.95"), encoding="utf-8")
    result = run("--solver", str(solver), "--json")
    assert result.exit_code == 1
    assert any("momentum" in f"{x['where']} {x['what']}" for x in _differing(result))


def test_a_name_in_a_file_cannot_steer_the_terminal(tmp_path: Path) -> None:
    weights = tmp_path / "x.caffemodel"
    net = NetParameter()
    layer = net.layer.add(name="\x1b]0;owned\x07\x1b[2J\nfc", type="Scale")
    layer.blobs.add(data=[1.0]).shape.dim.append(1)
    weights.write_bytes(net.SerializeToString())
    shown = run("--weights", str(weights)).stdout
    assert all(sign.isprintable() or sign == "\n" for sign in shown)
    assert r"\x1b]0;owned\x07" in "".join(shown.split())
    found = _differing(run("--weights", str(weights), "--json"))
    assert any("\x1b[2J\n" in finding["where"] for finding in found)  # JSON escapes itself


def _differing(result: Result) -> list[dict[str, str]]:
    return [finding for finding in json.loads(result.stdout) if finding["verdict"] == "differs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--net", "x.prototxt", "--markdown"), "are about the paper's claims, not about files"),
        (("--deep",), "--deep needs --data"),
        (("--deep", "--net", "x.prototxt"), "--deep needs --data"),
        (("--numeric", "--solver", "x.prototxt"), "--numeric needs --net"),
        (("--net", ""), "it is empty: name a file"),
        (("--json", "--markdown"), "print one thing each: give one"),
        (("--check", "AUDIT.md", "--only", "nouns"), "compares the whole page: omit --only"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_the_columns_of_an_inspection_are_as_wide_as_what_is_in_them() -> None:
    said = run("--solver", str(ROOT / "solvers/xs.prototxt")).output
    assert re.search(r"^verdict +whose rule +phase +where", said, re.MULTILINE), said
