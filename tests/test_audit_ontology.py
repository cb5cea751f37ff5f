"""Section 5.1 and Figure 6 against the class lists: the public ones, and small ones made here."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.class_lists import write_lists
from support.paths import SHARED

from netgen.audit.measurements import MEASUREMENTS, AuditInputs, sub_ontology
from netgen.audit.measurements.public_lists import LISTS as PUBLISHED
from netgen.audit.measurements.public_lists import chain, labels, not_published
from netgen.audit.verdicts import ClaimVerdict, judge
from netgen.commands.audit import command
from netgen.paper.claims import CLAIMS
from netgen.paper.claims.section_5 import DATA
from netgen.paper.ontology import adjectives_of, isolated, nouns_of, split_pair

LISTS = SHARED / "data"
needs_lists = pytest.mark.skipif(
    not LISTS.is_dir(),
    reason="NOT CHECKED, section 5.1: the public class lists are not at ../shared/data (the end of"
    " AUDIT.md says where they are published)",
)
READS_LISTS = [
    claim.id for claim in DATA if MEASUREMENTS[claim.measure].__module__ == sub_ontology.__name__
]


def verdict(name: str, folder: Path | None) -> ClaimVerdict:
    return judge("data", CLAIMS[name], AuditInputs(folder)).verdict


@pytest.mark.parametrize("name", READS_LISTS)
def test_without_class_lists_a_claim_needs_data_and_says_which(name: str) -> None:
    judgement = judge("data", CLAIMS[name], AuditInputs())
    assert judgement.verdict is ClaimVerdict.NEEDS_DATA
    assert "public" in judgement.evidence
    assert "--ontology" in judgement.evidence


# ---- the real lists -----------------------------------------------------------------------------


@needs_lists
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pairs-in-vso", ClaimVerdict.REPRODUCED),
        ("fewer-adjectives", ClaimVerdict.CONSISTENT),
        ("nouns", ClaimVerdict.REPRODUCED),
        ("adjectives", ClaimVerdict.REPRODUCED),
        ("pairs", ClaimVerdict.REPRODUCED),
        ("pairs-well-formed", ClaimVerdict.REPRODUCED),
        ("deepsentibank-classes", ClaimVerdict.REPRODUCED),
        ("deepsentibank-subset", ClaimVerdict.REPRODUCED),
        ("criterion-1-before", ClaimVerdict.REPRODUCED),
        ("criterion-1-after", ClaimVerdict.CONTRADICTED),
        ("criterion-2-biasing", ClaimVerdict.CONSISTENT),
        ("criterion-2-abstract", ClaimVerdict.CONSISTENT),
        ("edge-coverage", ClaimVerdict.NEEDS_DATA),
        ("examples-introduction", ClaimVerdict.CONTRADICTED),
        ("examples-figure-2", ClaimVerdict.REPRODUCED),
        *((f"figure-6-row-{row}", ClaimVerdict.REPRODUCED) for row in (1, 2, 3, 4)),
    ],
)
def test_what_the_public_class_lists_say_of_section_5_1(name: str, expected: ClaimVerdict) -> None:
    assert verdict(name, LISTS) is expected


@needs_lists
def test_how_far_less_the_adjectives_are_is_told_and_not_judged() -> None:
    judgement = judge("data", CLAIMS["fewer-adjectives"], AuditInputs(LISTS))
    assert judgement.found == "181 adjectives, 286 nouns: 1.58 nouns per adjective"
    assert judgement.evidence.endswith("tested: fewer; how many are “far less” is not printed")


@needs_lists
def test_the_chain_of_filters_ends_322_pairs_before_the_final_list() -> None:
    assert chain(AuditInputs(LISTS)) == (1200, 1134, 914, 875, 553)
    judgement = judge("data", CLAIMS["edge-coverage"], AuditInputs(LISTS))
    assert "1,200 → 1,134" in judgement.found
    assert "may have removed 322" in judgement.evidence


@needs_lists
def test_criterion_1_holds_of_the_1200_and_not_of_36_adjectives_among_the_553() -> None:
    after = judge("data", CLAIMS["criterion-1-after"], AuditInputs(LISTS))
    assert after.found == "at least 1; 36 of 117 adjectives have fewer than 3"
    assert after.fits == "the criterion was applied to the 1,200, before the others"


@needs_lists
def test_what_the_criteria_do_not_explain_is_reported_and_not_attributed() -> None:
    judgement = judge("data", CLAIMS["criteria-alone"], AuditInputs(LISTS))
    assert judgement.verdict is ClaimVerdict.NEEDS_DATA
    assert judgement.found == (
        "15 adjectives with at least 3 nouns are gone, 13 of them with 39 pairs whose noun stays;"
        " 119 nouns are gone, while beauty and wonder stay"
    )


@needs_lists
def test_every_pair_of_the_full_ontology_is_read() -> None:
    assert len(set(labels(AuditInputs(LISTS), "3244"))) == 3244


@needs_lists
def test_a_label_that_is_no_class_is_found() -> None:
    claim = CLAIMS["figure-6-row-1"]
    adjectives, pairs, nouns = claim.of
    wrong = replace(claim, of=(adjectives, pairs, nouns.replace("spider", "spiders")))
    judgement = judge("data", wrong, AuditInputs(LISTS))
    assert (judgement.verdict, judgement.found) == (
        ClaimVerdict.NOT_REPRODUCED,
        "14 of 15 labels are classes",
    )


@needs_lists
def test_singletons_are_named_with_the_graph_that_they_are_isolated_in() -> None:
    found = judge("data", CLAIMS["singletons"], AuditInputs(LISTS)).found
    of_vso, _, of_the_kept = found.partition("; ")
    assert "none is kept among the 553" in of_vso
    for pair in ("extreme_noise", "inspirational_poster", "grotesque_head"):
        assert pair in of_vso
        assert pair not in labels(AuditInputs(LISTS), "anp")
    assert of_the_kept.startswith("2 others in the graph of the 553")
    for pair in ("favorite_band", "powerful_waterfall"):
        assert pair in of_the_kept
        assert pair not in isolated(labels(AuditInputs(LISTS), "1200"))


@needs_lists
def test_words_that_were_looked_up_do_not_reproduce_a_rule() -> None:
    """Cat has 27 pairs, more than flowers, and stays: no rule of "overwhelmingly" is given."""
    found = judge("data", CLAIMS["criterion-2-biasing"], AuditInputs(LISTS)).found
    assert "2 of the 2 named words are dropped (pairs: face 32, flowers 14)" in found
    assert "nouns with more pairs than the least of them stay, cat (27) first" in found


@needs_lists
def test_the_lists_at_hand_are_the_published_ones() -> None:
    assert not_published(AuditInputs(LISTS)) == []


# ---- small lists --------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., AuditInputs]:
    """Write class lists; what is not given has the lines of a tiny ontology."""

    made = count()

    def write(**lists: list[str]) -> AuditInputs:
        folder = tmp_path / str(next(made))
        lines = {
            "1200": ["big_dog", "big_cat", "big_sky", "sad_dog", "odd_face"],
            "3244": ["1. big [sentiment: 1.00]", "\tbig_dog [sentiment: 1.77] [#imgs: 2]"],
            "noun": ["dog", "cat"],
            "adj": ["big"],
            "anp": ["big_dog", "big_cat"],
        } | lists
        for name, text in lines.items():
            file = folder / PUBLISHED[name].file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(text), encoding="utf-8")
        classes = folder / PUBLISHED["deepsentibank"].file
        classes.parent.mkdir(exist_ok=True)
        classes.write_text(json.dumps(lines["anp"]), encoding="utf-8")
        return AuditInputs(folder)

    return write


def test_the_chain_applies_the_criteria_in_order(small: Callable[..., AuditInputs]) -> None:
    assert chain(small()) == (5, 3, 2, 2, 2)


def test_a_pair_of_a_noun_that_is_not_listed_is_not_well_formed(
    small: Callable[..., AuditInputs],
) -> None:
    assert judge("", CLAIMS["pairs-well-formed"], small()).verdict is ClaimVerdict.REPRODUCED
    context = small(noun=["dog"])
    assert judge("", CLAIMS["pairs-well-formed"], context).verdict is ClaimVerdict.NOT_REPRODUCED


def test_a_noun_that_was_to_be_dropped_and_is_kept_is_not_reproduced(
    small: Callable[..., AuditInputs],
) -> None:
    context = small(noun=["dog", "face"])
    assert judge("", CLAIMS["criterion-2-biasing"], context).verdict is ClaimVerdict.NOT_REPRODUCED


def test_a_list_that_repeats_a_class_has_fewer(small: Callable[..., AuditInputs]) -> None:
    judgement = judge("", CLAIMS["nouns"], small(noun=["dog"] * 167))
    assert judgement.verdict is ClaimVerdict.NOT_REPRODUCED
    assert judgement.found.startswith("1 different classes (NOT by the published mtvso/")


def test_the_full_ontologys_headings_are_no_pairs(small: Callable[..., AuditInputs]) -> None:
    assert labels(small(), "3244") == ["big_dog"]


def test_a_missing_list_is_named(small: Callable[..., AuditInputs]) -> None:
    context = small()
    assert context.ontology
    (context.ontology / PUBLISHED["noun"].file).unlink()
    judgement = judge("", CLAIMS["nouns"], context)
    assert judgement.verdict is ClaimVerdict.NEEDS_DATA
    assert judgement.evidence.endswith("mtvso_nounlabels.txt: No such file or directory")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("deepsentibank", "big_dog", r"classes\.json: no list in JSON: is it DeepSentiBank's"),
        ("deepsentibank", "{}", r"classes\.json: no list in JSON"),
        ("noun", "", r"mtvso_nounlabels\.txt: no classes in it: get it again"),
        ("anp", "dog", r"mtvso_anplabels\.txt: 'dog' is no pair such as happy_dog"),
        ("1200", "\ufffd\x00", r"1200ANPs\.txt: .* is no pair"),
    ],
)
def test_a_file_that_is_another_list_is_refused(
    small: Callable[..., AuditInputs], name: str, text: str, message: str
) -> None:
    context = small()
    assert context.ontology
    (context.ontology / PUBLISHED[name].file).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        labels(context, name)


words = st.text("abc", min_size=1, max_size=2)


@given(st.lists(st.tuples(words, words).map("_".join), max_size=20, unique=True))
def test_adjectives_and_nouns_are_the_two_sides_of_the_same_pairs(pairs: list[str]) -> None:
    nouns, adjectives = nouns_of(pairs), adjectives_of(pairs)
    assert sum(map(len, nouns.values())) == sum(map(len, adjectives.values())) == len(pairs)
    assert {f"{a}_{n}" for a, found in nouns.items() for n in found} == set(pairs)
    for pair in isolated(pairs):
        others = [split_pair(other) for other in pairs if other != pair]
        assert all(a != split_pair(pair)[0] and n != split_pair(pair)[1] for a, n in others)


@given(st.lists(st.tuples(words, words).map("_".join), min_size=1, max_size=12, unique=True))
def test_singletons_are_those_of_each_graph_whatever_the_pairs(pairs: list[str]) -> None:
    kept = pairs[: len(pairs) // 2 + 1]
    with tempfile.TemporaryDirectory() as name:
        folder = write_lists(Path(name), {"1200": pairs, "anp": kept})
        judgement = judge("", CLAIMS["singletons"], AuditInputs(folder))
    of_all, of_kept = judgement.found.split("; ")
    before, after = set(isolated(pairs)), set(isolated(kept))
    assert named(of_all, pairs) == before
    assert named(of_kept, pairs) == after - before
    assert (judgement.verdict is ClaimVerdict.REPRODUCED) == bool(before)


def named(text: str, pairs: list[str]) -> set[str]:
    return set(re.findall(r"\b[abc]+_[abc]+\b", text)) & set(pairs)


# ---- which file is which ------------------------------------------------------------------------


def test_another_list_is_used_and_every_row_that_rests_on_it_says_so(
    small: Callable[..., AuditInputs],
) -> None:
    context = small()
    assert {one.file for one in not_published(context)} == {x.file for x in PUBLISHED.values()}
    for name in READS_LISTS:
        judgement = judge("data", CLAIMS[name], context)
        assert "NOT by the published" in judgement.found, name
        assert "NOT the published list: SHA-256 " in judgement.evidence, name


def test_the_command_names_a_list_that_is_not_the_published_one_and_still_judges(
    small: Callable[..., AuditInputs],
) -> None:
    context = small()
    result = CliRunner().invoke(command, ["--ontology", str(context.ontology), "--only", "nouns"])
    told = " ".join(result.stderr.split())
    assert f"{context.ontology}/{PUBLISHED['noun'].file} is not the published list" in told
    assert PUBLISHED["noun"].sha256 in told
    assert "2 different classes" in result.stdout


@needs_lists
def test_a_list_that_one_byte_was_added_to_is_not_the_published_one(tmp_path: Path) -> None:
    shutil.copytree(LISTS, tmp_path / "lists")
    file = tmp_path / "lists" / PUBLISHED["adj"].file
    file.write_bytes(file.read_bytes() + b"\n")
    (other,) = not_published(AuditInputs(tmp_path / "lists"))
    assert other is PUBLISHED["adj"]
    judgement = judge("data", CLAIMS["adjectives"], AuditInputs(tmp_path / "lists"))
    assert judgement.found.startswith("117 different classes (NOT by the published ")
