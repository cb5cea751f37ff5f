"""Section 5.1's criteria on VSO's list and on small ones: what is left, written and drawn."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.paths import SHARED

from data_prep.criteria import Criteria, apply_criteria, fates, read_counts, read_pairs
from data_prep.image_source import DataError
from netgen.audit.measurements import AuditInputs
from netgen.audit.measurements.public_lists import chain
from netgen.commands.cli import main
from netgen.paper.ontology import entries_of, split_pair

LISTS = SHARED / "data"
VSO = LISTS / "vso/1200ANPs.txt"
needs_lists = pytest.mark.skipif(
    not LISTS.is_dir(), reason="class lists are not at ../shared/data (see test_audit_ontology)"
)
SMALL = ["big_dog", "big_cat", "big_face", "big_sky", "odd_dog", "odd_cat", "odd_sky", "sad_dog"]


def netgen(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["data", "ontology", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return written(tmp_path / "list.txt", SMALL)


def written(file: Path, content: Iterable[str]) -> Path:
    file.write_text("\n".join(content), encoding="utf-8")
    return file


# ---- the real list ------------------------------------------------------------------------------


@needs_lists
def test_with_the_authors_nouns_914_of_the_1200_are_left_before_images_count(
    tmp_path: Path,
) -> None:
    nouns = LISTS / "mtvso/mtvso_nounlabels.txt"
    code, output = netgen(VSO, "--keep-nouns", nouns, "--out", tmp_path / "out")
    assert code == 0, output
    left = [
        (row["pairs"], row["adjectives"], row["nouns"])
        for row in rows(tmp_path / "out/filters.csv")
    ]
    assert left == [("1200", "181", "286"), ("1134", "132", "276"), ("914", "130", "167")]
    assert tuple(int(pairs) for pairs, *_ in left) == chain(AuditInputs(LISTS))[:3]  # the audit's
    assert "(3) is not applied: images are not counted" in output


@needs_lists
def test_with_images_for_the_authors_pairs_alone_their_lists_come_out(tmp_path: Path) -> None:
    final = set(read_pairs(LISTS / "mtvso/mtvso_anplabels.txt"))
    counts = [f"{pair},{500 if pair in final else 499}" for pair in read_pairs(VSO)]
    counts_file = written(tmp_path / "counts.csv", ["pair,count", *counts])
    code, output = netgen(VSO, "--counts", counts_file, "--out", tmp_path / "out")
    assert code == 0, output
    for task in ("noun", "adj", "anp"):
        name = f"mtvso_{task}labels.txt"
        assert lines(tmp_path / "out" / name) == sorted(lines(LISTS / "mtvso" / name))
    text = "".join(ET.parse(tmp_path / "out/graph.svg").getroot().itertext())
    assert "553 pairs of 117 adjectives and 167 nouns" in text
    for word in lines(LISTS / "mtvso/mtvso_adjlabels.txt"):
        assert f"  {word}" in text


# ---- small lists --------------------------------------------------------------------------------


def test_each_pair_is_told_what_left_it_out(small: Path, tmp_path: Path) -> None:
    counts = ["big_dog,500", "big_cat,499", "big_sky,800", "odd_dog,900", "odd_cat,501"]
    file = written(tmp_path / "counts.csv", ["pair,count", *counts])
    code, output = netgen(small, "--counts", file, "--out", tmp_path / "out")
    assert code == 0, output
    reasons = {row["pair"]: row["left out by"][:3] for row in rows(tmp_path / "out/pairs.csv")}
    assert reasons == {
        "big_dog": "", "big_cat": "(3)", "big_face": "(2)", "big_sky": "",
        "odd_dog": "", "odd_cat": "", "odd_sky": "(3)", "sad_dog": "(1)",
    }  # fmt: skip
    assert lines(tmp_path / "out/mtvso_anplabels.txt") == [
        "big_dog",
        "big_sky",
        "odd_cat",
        "odd_dog",
    ]
    assert [row["images"] for row in rows(tmp_path / "out/filters.csv")] == ["3200"] * 3 + ["2701"]
    assert "3 pairs of the list have no image: big_face, odd_sky, sad_dog" in output


def test_images_are_counted_in_the_folders_of_their_pairs(small: Path, tmp_path: Path) -> None:
    for pair, count in {"big_dog": 3, "big_cat": 1, "odd_sky": 2, "no pair": 9}.items():
        (tmp_path / "root" / pair).mkdir(parents=True)
        for index in range(count):
            (tmp_path / "root" / pair / f"{index}.jpg").touch()
        (tmp_path / "root" / pair / ".hidden").touch()
    (tmp_path / "root/loose.jpg").touch()
    code, output = netgen(
        small, "--images", tmp_path / "root", "--min-images", 2, "--out", tmp_path / "out"
    )
    assert code == 0, output
    assert lines(tmp_path / "out/mtvso_anplabels.txt") == ["big_dog", "odd_sky"]


def test_the_nouns_that_the_paper_names_are_left_out_unless_others_are_given(
    small: Path, tmp_path: Path
) -> None:
    netgen(small, "--out", tmp_path / "paper")
    assert lines(tmp_path / "paper/mtvso_nounlabels.txt") == ["cat", "dog", "sky"]
    nouns = written(tmp_path / "nouns.txt", ["sky", "sea"])
    _, output = netgen(small, "--exclude-nouns", nouns, "--out", tmp_path / "given")
    assert lines(tmp_path / "given/mtvso_nounlabels.txt") == ["cat", "dog", "face"]
    assert "excluded, but no noun of the list: sea" in output


words = st.sampled_from(["a", "b", "c", "d"])
ontologies = st.lists(st.tuples(words, words).map("_".join), min_size=1, unique=True)


@given(ontologies, st.integers(1, 3), st.frozensets(words, max_size=2), st.integers(0, 3))
def test_what_is_left_meets_every_criterion_and_what_is_not_fails_the_one_named(
    pairs: list[str], nouns: int, excluded: frozenset[str], least: int
) -> None:
    counts = {pair: index for index, pair in enumerate(pairs)}
    of = [{split_pair(p)[1] for p in pairs if split_pair(p)[0] == a} for a in "abcd"]
    rich = {a for a, found in zip("abcd", of, strict=True) if len(found) >= nouns}
    fails = {
        pair: "(1)" if split_pair(pair)[0] not in rich
        else "(2)" if split_pair(pair)[1] in excluded
        else "(3)" if counts[pair] < least else ""
        for pair in pairs
    }  # fmt: skip
    try:
        found = apply_criteria(pairs, Criteria(nouns, excluded, least), counts)
    except DataError:
        assert all(fails.values())
    else:
        assert {row["pair"]: row["left out by"][:3] for row in fates(found, counts)} == fails


# ---- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (["big_dog", "dog"], "'dog' is not a pair such as happy_dog"),
        (["big_dog", "big_"], "'big_' is not a pair"),
        (["big dog_house"], "is not a pair"),
        (["big_dog", "big_cat", "big_dog"], "'big_dog' is listed twice: keep one"),
        ([""], "it is empty"),
        (
            ["big_dog", "odd_dog"],
            "no pair meets (1) 3 or more nouns per adjective: use weaker criteria",
        ),
    ],
)
def test_a_list_that_cannot_be_used_leaves_no_folder(
    content: list[str], message: str, tmp_path: Path
) -> None:
    code, output = netgen(written(tmp_path / "list.txt", content), "--out", tmp_path / "out")
    assert code == 1
    assert message in output
    assert len(output.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (["big_dog,3"], "its first line is not pair,count"),
        (["pair,count", "big_dog,3", "big_cat,-1"], "line 3: 'big_cat,-1' is not a pair and a"),
        (["pair,count", "big_dog"], "line 2: 'big_dog' is not a pair and a count"),
        (["pair,count", "big_dog,1", "big_dog,2"], "line 3: 'big_dog' is listed twice"),
    ],
)
def test_counts_that_cannot_be_used_are_named_by_line(
    content: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        read_counts(written(tmp_path / "counts.csv", content))
    assert message in str(caught.value)


def test_a_file_that_is_there_stays_unless_forced(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    theirs = written(out / "mtvso_adjlabels.txt", ["theirs"])
    code, output = netgen(small, "--out", out)
    assert code == 1
    assert "exists: choose another folder, or replace it with --force" in output
    assert [file.name for file in out.iterdir()] == [theirs.name]
    assert lines(theirs) == ["theirs"]
    assert netgen(small, "--out", out, "--force")[0] == 0
    assert lines(theirs) == ["big", "odd"]


def test_two_ways_of_saying_one_thing_are_wrong_usage(small: Path, tmp_path: Path) -> None:
    for one, other in (("--images", "--counts"), ("--keep-nouns", "--exclude-nouns")):
        path = tmp_path if one == "--images" else small
        code, output = netgen(small, one, path, other, small, "--out", tmp_path / "out")
        assert code == 2
        assert "give one of them" in output


@pytest.mark.parametrize(
    "noise", ["\n" * 1_000_000, " " * 1_000_000 + "\n", "\n " + "_" * 200_000 + "\n"]
)
def test_a_list_is_read_in_one_pass_whatever_it_holds(noise: str) -> None:
    """Blank lines were tried one after the other as the beginning of a pair: for hours."""
    vso = "happy [sentiment: 1]\n  happy_dog [sentiment: 2]\n"
    assert entries_of(noise + vso) == ["happy_dog"]
    assert entries_of(vso + noise) == ["happy_dog"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"big_dog,{'9' * 5000}", "line 2: 'big_dog,999"),
        (f"{'a' * 200_000},3", "field larger than field limit"),
        ('"big_dog,3', "unexpected end of data"),
    ],
)
def test_counts_that_are_none_are_told_with_their_file(
    line: str, said: str, small: Path, tmp_path: Path
) -> None:
    counts = written(tmp_path / "counts.csv", ["pair,count", line])
    code, output = netgen(small, "--out", tmp_path / "out", "--counts", counts)
    assert code == 1
    assert output.startswith(f"Error: {counts}")
    assert said in output
    assert not (tmp_path / "out").exists()
