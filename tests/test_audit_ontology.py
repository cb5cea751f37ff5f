"""Section 5.1 and Figure 6 against the class lists: the public ones, and small ones made here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import SHARED

from netgen.audit.measurements import MEASUREMENTS, AuditInputs, public_lists, sub_ontology
from netgen.audit.measurements.public_lists import FILES, chain, labels
from netgen.audit.verdicts import ClaimVerdict, judge
from netgen.paper.claims import CLAIMS
from netgen.paper.claims.section_5 import DATA
from netgen.paper.ontology import adjectives_of, isolated, nouns_of, split_pair

LISTS = SHARED / "data"
needs_lists = pytest.mark.skipif(
    not LISTS.is_dir(),
    reason="class lists are not at ../shared/data (public: the Visual Sentiment Ontology; gist"
    " 547112cc41b831ec1905e75deae11104; the DeepSentiBank release)",
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
        ("nouns", ClaimVerdict.REPRODUCED),
        ("adjectives", ClaimVerdict.REPRODUCED),
        ("pairs", ClaimVerdict.REPRODUCED),
        ("pairs-well-formed", ClaimVerdict.REPRODUCED),
        ("deepsentibank-classes", ClaimVerdict.REPRODUCED),
        ("deepsentibank-subset", ClaimVerdict.REPRODUCED),
        ("criterion-1-before", ClaimVerdict.REPRODUCED),
        ("criterion-1-after", ClaimVerdict.CONTRADICTED),
        ("criterion-2-biasing", ClaimVerdict.REPRODUCED),
        ("criterion-2-abstract", ClaimVerdict.REPRODUCED),
        ("edge-coverage", ClaimVerdict.NEEDS_DATA),
        ("examples-introduction", ClaimVerdict.CONTRADICTED),
        ("examples-figure-2", ClaimVerdict.REPRODUCED),
        *((f"figure-6-row-{row}", ClaimVerdict.REPRODUCED) for row in (1, 2, 3, 4)),
    ],
)
def test_what_the_public_class_lists_say_of_section_5_1(name: str, expected: ClaimVerdict) -> None:
    assert verdict(name, LISTS) is expected


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


# ---- small lists --------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., AuditInputs]:
    """Write class lists; what is not given has the lines of a tiny ontology."""

    def write(**lists: list[str]) -> AuditInputs:
        lines = {
            "1200": ["big_dog", "big_cat", "big_sky", "sad_dog", "odd_face"],
            "3244": ["1. big [sentiment: 1.00]", "\tbig_dog [sentiment: 1.77] [#imgs: 2]"],
            "noun": ["dog", "cat"],
            "adj": ["big"],
            "anp": ["big_dog", "big_cat"],
        } | lists
        for name, text in lines.items():
            file = tmp_path / FILES[name]
            file.parent.mkdir(exist_ok=True)
            file.write_text("\n".join(text), encoding="utf-8")
        (tmp_path / "deepsentibank").mkdir(exist_ok=True)
        (tmp_path / FILES["deepsentibank"]).write_text(json.dumps(lines["anp"]), encoding="utf-8")
        public_lists._read.cache_clear()
        return AuditInputs(tmp_path)

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
    assert judgement.found == "1 different classes"


def test_the_full_ontologys_headings_are_no_pairs(small: Callable[..., AuditInputs]) -> None:
    assert labels(small(), "3244") == ["big_dog"]


def test_a_missing_list_is_named(small: Callable[..., AuditInputs], tmp_path: Path) -> None:
    context = small()
    (tmp_path / FILES["noun"]).unlink()
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
    (context.ontology / FILES[name]).write_text(text, encoding="utf-8")
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
