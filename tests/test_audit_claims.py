"""The claims are the paper's: its words, its numbers, and all of its numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import SHARED

from netgen import paper
from netgen.audit.measurements import MEASUREMENTS
from netgen.audit.measurements.measurement import Basis, Found, measures
from netgen.paper import TABLE_2
from netgen.paper.claims import (
    ARGUMENTS,
    CLAIMS,
    NOT_CHECKABLE,
    PARTS,
    Claim,
    Measure,
    Relation,
    numbers_in,
)
from netgen.paper.claims.claim import NUMBER, WORDS
from netgen.paper.claims.left_open import QUESTIONS

PAPER = SHARED / "paper"
needs_paper = pytest.mark.skipif(
    not PAPER.is_dir(),
    reason="NOT CHECKED, quotes and numbers against the paper: its text is not at ../shared/paper"
    " (public: DOI 10.1145/2964284.2964309)",
)

# What is printed but no number of the paper's, and why it is left out.
LEFT_OUT = {
    r"(?s)Permission to make digital.*?2964284\.2964309>": "copyright, ISBN, price and DOI",
    r"(?m)^#+ .*$": "headings",
    r"<sup>\d</sup>": "footnotes' marks",
    r"https?://\S+": "addresses",
    r"\[\d+(?:, \d+)*\]": "citations",
    r"(?i)\b(?:Figure|Table|Section)s? \d\b": "references to figures, tables, sections",
    r"\\quad \(\d\)": "equations' numbers",
    r"\(\d\)(?= (?:the |an |adjectives|nouns|ANPs))": "enumerations",
    r"(?:ResNet|VggNet|CIFAR)-\d+|Inception-v\d": "names of networks and data sets",
    r"X<sub>.</sub>|\$X_.\$": "subscripts of networks",
    r"(?i)\btop-\d\b": "names of columns; the networks' Accuracy layers are a claim of their own",
    r"_\{j=1\}|\bN - 1\b|k-1\b|\b2-norm": "indices and names in formulas",
}


def plain(text: str) -> str:
    """The text less markup and citations, with single spaces."""
    text = re.sub(r"\[\d+(?:, \d+)*\]", "", text)
    text = re.sub(r"</?(?:b|sub|sup)>|\*", "", text)
    return re.sub(r"\s+", " ", text.replace(" ,", ","))


def body() -> str:
    """The paper from its abstract to its references, with what is left out blanked."""
    (file,) = PAPER.glob("*.md")
    text = file.read_text(encoding="utf-8")
    text = text[text.index("## ABSTRACT") : text.index("## 7. REFERENCES")]
    for pattern in LEFT_OUT:
        text = re.sub(pattern, " ", text)
    return text


@pytest.fixture(scope="module")
def page() -> str:
    (file,) = PAPER.glob("*.md")
    return plain(file.read_text(encoding="utf-8"))


def said() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Name, quote and numbers of every claim, argument, and of what is not checkable."""
    for claim in CLAIMS.values():
        for quote in filter(None, claim.quotes):
            yield claim.id, quote, tuple(number.text for number in claim.numbers)
    for entry in NOT_CHECKABLE:
        yield entry.place, entry.quote, tuple(number.text for number in entry.numbers)
    for argument in ARGUMENTS:
        for quote in argument.quotes:
            yield argument.id, quote, tuple(number.text for number in numbers_in(quote))


# ---- the paper's words --------------------------------------------------------------------------


@needs_paper
@pytest.mark.parametrize("quote", sorted({quote for _, quote, _ in said()}))
def test_every_quote_is_in_the_paper(quote: str, page: str) -> None:
    assert plain(quote) in page


@needs_paper
def test_every_sentence_for_or_against_a_reading_is_in_the_paper(page: str) -> None:
    for question in QUESTIONS:
        for answer in question.answers:
            for quote in re.findall("“([^”]*)”", f"{answer.pro} {answer.con}"):
                assert plain(quote) in page, quote


@needs_paper
def test_every_quote_of_an_argument_is_in_the_paper(page: str) -> None:
    for argument in ARGUMENTS:
        for quote in [*argument.quotes, *re.findall("“([^”]*)”", argument.because)]:
            assert plain(quote) in page, quote


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_every_printed_number_is_in_its_quote(claim: Claim) -> None:
    quoted = Counter(number.text for number in numbers_in(" ".join(claim.quotes)))
    assert not Counter(number.text for number in claim.numbers) - quoted


# ---- all of its numbers -------------------------------------------------------------------------


def uncovered(text: str, entries: list[tuple[str, str, tuple[str, ...]]]) -> list[str]:
    """The numbers in `text` that no quote with that number among its printed ones spans."""
    text = plain(text)
    covered: set[int] = set()
    for _, quote, numbers in entries:
        wanted = plain(_blanked(quote)).strip()
        for match in re.finditer(re.escape(wanted), text):
            for number in NUMBER.finditer(text, match.start(), match.end()):
                if number.group() in numbers:
                    covered.add(number.start())
    return [
        f"{number.group()} in '{text[max(0, number.start() - 40) : number.end() + 30]}'"
        for number in NUMBER.finditer(text)
        if number.start() not in covered
    ]


def _blanked(quote: str) -> str:
    for pattern in LEFT_OUT:
        quote = re.sub(pattern, " ", quote)
    return quote


@needs_paper
def test_every_number_of_the_paper_is_claimed_argued_about_or_listed_as_not_checkable() -> None:
    assert uncovered(body(), list(said())) == []


@given(st.sampled_from(sorted(WORDS)), st.booleans())
def test_a_number_in_words_is_a_number_too(word: str, capital: bool) -> None:
    text = f"drops {word.capitalize() if capital else word} of them"
    assert uncovered(text, []) == [f"{text.split()[1]} in '{text}'"]
    assert uncovered(text, [("some claim", text, (text.split()[1],))]) == []


@needs_paper
@pytest.mark.parametrize("rule", LEFT_OUT.values())
def test_every_rule_for_leaving_something_out_is_needed(rule: str) -> None:
    (pattern,) = (pattern for pattern, why in LEFT_OUT.items() if why == rule)
    (file,) = PAPER.glob("*.md")
    text = file.read_text(encoding="utf-8")
    text = text[text.index("## ABSTRACT") : text.index("## 7. REFERENCES")]
    assert NUMBER.search(" ".join(match.group() for match in re.finditer(pattern, text)))


@needs_paper
def test_there_are_over_two_hundred_numbers_to_cover() -> None:
    """So that the test above does not pass because it sees nothing."""
    assert len(NUMBER.findall(plain(body()))) > 200


@needs_paper
def test_a_number_that_no_claim_has_is_found() -> None:
    kept = [entry for entry in said() if entry[0] != "pairs-in-vso"]
    (missing,) = uncovered(body(), kept)
    assert missing.startswith("1,200 in ")


# ---- the table of claims ------------------------------------------------------------------------


def test_every_claim_has_a_name_of_its_own() -> None:
    assert len(CLAIMS) == sum(map(len, PARTS.values()))


def test_every_claim_is_measured_and_every_measurement_used() -> None:
    assert {claim.measure for claim in CLAIMS.values()} == set(MEASUREMENTS) == set(Measure)


def test_a_second_function_for_a_measure_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Measure\.TASKS is measured by tasks already"):
        measures(Measure.TASKS, Basis.LISTS)(lambda: Found("", ""))
    assert MEASUREMENTS[Measure.TASKS].__name__ == "tasks"


def test_table_2_has_nine_networks_and_a_claim_a_number() -> None:
    assert len({row.network for row in TABLE_2}) == 9
    printed = [text for row in TABLE_2 for text in (row.parameters, row.top1, row.top5)]
    claims = PARTS["Table 2: parameters and accuracies"]
    assert len(claims) == sum(text not in ("", "–") for text in printed)


def test_table_2_is_the_one_that_networks_are_listed_with() -> None:
    for variant, millions in paper.TABLE_2_PARAMETERS.items():
        assert CLAIMS[f"{variant}-params"].printed == (millions,)


def test_every_entry_that_is_not_checkable_says_why() -> None:
    assert all(entry.because and entry.numbers for entry in NOT_CHECKABLE)


# ---- printed numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("7 × 7, 60 /2", [7, 7, 60, 2]),
        ("384,258 images, 0.86 and >40%", [384_258, 0.86, 40]),
        ("1 × 1, 1024 ×6", [1, 1, 1024, 6]),
        ("two of three, by ten, almost a half", [2, 3, 10, 0.5]),
        ("one single network, doubled often", []),
    ],
)
def test_numbers_are_read_as_papers_print_them(text: str, values: list[float]) -> None:
    assert [number.value for number in numbers_in(text)] == values


@given(st.integers(0, 10**7), st.integers(0, 4))
def test_a_number_agrees_with_exactly_what_would_be_printed_as_it(units: int, digits: int) -> None:
    value = units / 10**digits
    (number,) = numbers_in(f"{value:.{digits}f}")
    half = 0.5 / 10**digits
    for share in (-0.98, 0, 0.98):
        assert number.agrees(value + share * half)
    for share in (-1.02, 1.02):
        assert not number.agrees(value + share * half)


@given(st.floats(0, 1e6), st.integers(0, 10**6))
def test_relations_stand_the_right_way_round(measured: float, printed: int) -> None:
    (number,) = numbers_in(str(printed))
    assert number.agrees(measured, Relation.ABOVE) == (measured > printed)
    assert number.agrees(measured, Relation.BELOW) == (measured < printed)
    assert number.agrees(measured, Relation.AT_LEAST) == (measured >= printed)
    assert number.agrees(measured, Relation.AT_MOST) == (measured <= printed)
