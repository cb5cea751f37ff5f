"""Section 5.1's three criteria, which choose the paper's classes from VSO's full list.

They are applied in the paper's order, each to the pairs that the previous one keeps; an adjective's
nouns are counted in the full list, as the authors' own lists show
(`ontology.with_rich_adjectives`). VSO's "at most 1,000 images per concept" is how its corpus
was collected before the paper: it is no criterion here.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from data_prep.image_files import FileTree
from data_prep.image_source import DataError
from netgen.paper.ontology import (
    CLASS_LISTS,
    adjectives_of,
    entries_of,
    isolated,
    nouns_of,
    split_pair,
    with_rich_adjectives,
)
from netgen.system.files import read_text_file
from netgen.system.text import check_name, listed

COUNTS_HEADING = ["pair", "count"]
MOST_SHOWN = 5  # words or pairs in a message


@dataclass(frozen=True)
class FilterStep:
    """The pairs that are left once a criterion has been applied."""

    criterion: str
    pairs: tuple[str, ...]

    @property
    def adjectives(self) -> list[str]:
        """The adjectives of these pairs, sorted."""
        return sorted(nouns_of(self.pairs))

    @property
    def nouns(self) -> list[str]:
        """The nouns of these pairs, sorted."""
        return sorted(adjectives_of(self.pairs))

    def row(self, counts: Mapping[str, int] | None) -> dict[str, str]:
        """Return what is left as a row of the table of the criteria's effect.

        A pair is alone when it shares neither adjective nor noun with another.
        """
        images = "not counted"
        if counts is not None:
            images = str(sum(counts.get(pair, 0) for pair in self.pairs))
        return {
            "after": self.criterion,
            "pairs": str(len(self.pairs)),
            "adjectives": str(len(self.adjectives)),
            "nouns": str(len(self.nouns)),
            "images": images,
            "alone": str(len(isolated(self.pairs))),
        }


@dataclass(frozen=True)
class Criteria:
    """The criteria that a pair must meet.

    Attributes
    ----------
    least_nouns
        How many nouns its adjective must have in the full list.
    left_out
        The nouns that it may not have.
    least_images
        How many images it must have.
    """

    least_nouns: int
    left_out: frozenset[str]
    least_images: int


def apply_criteria(
    pairs: Sequence[str], criteria: Criteria, counts: Mapping[str, int] | None
) -> list[FilterStep]:
    """Return the pairs of the list, and those that remain after each criterion.

    Parameters
    ----------
    pairs
        The full list.
    counts
        Pair -> number of images, 0 for a pair that is not in it; None when images were not
        counted: then the criterion of images is not applied.

    Raises
    ------
    DataError
        No pair is left.
    """
    rich = with_rich_adjectives(pairs, criteria.least_nouns)
    concrete = [pair for pair in rich if split_pair(pair)[1] not in criteria.left_out]
    found = [
        FilterStep("the full list", tuple(pairs)),
        FilterStep(f"(1) {criteria.least_nouns} or more nouns per adjective", tuple(rich)),
        FilterStep(f"(2) {len(criteria.left_out):,} nouns excluded", tuple(concrete)),
    ]
    if counts is not None:
        enough = [pair for pair in concrete if counts.get(pair, 0) >= criteria.least_images]
        found.append(
            FilterStep(f"(3) {criteria.least_images:,} or more images per pair", tuple(enough))
        )
    empty = next((step for step in found if not step.pairs), None)
    if empty:
        raise DataError(f"no pair meets {empty.criterion}: use weaker criteria")
    return found


def fates(found: Sequence[FilterStep], counts: Mapping[str, int] | None) -> list[dict[str, str]]:
    """Return every pair of the full list with the first criterion that it does not meet, or ""."""
    reasons = dict.fromkeys(found[0].pairs, "")
    for before, after in pairwise(found):
        reasons.update(dict.fromkeys(set(before.pairs).difference(after.pairs), after.criterion))
    return [
        {
            "pair": pair,
            "images": "" if counts is None else str(counts.get(pair, 0)),
            "left out by": reason,
        }
        for pair, reason in reasons.items()
    ]


def class_lists(step: FilterStep) -> dict[str, str]:
    """Return the class lists of the remaining pairs: file name -> one class per line, sorted."""
    classes = {"noun": step.nouns, "adj": step.adjectives, "anp": sorted(step.pairs)}
    return {file: "\n".join(classes[task]) + "\n" for task, file in CLASS_LISTS.items()}


def notes(
    pairs: Sequence[str], left_out: Collection[str], counts: Mapping[str, int] | None
) -> list[str]:
    """Return notes on possible mistakes: unknown words, pairs without images, no counts."""
    strangers = sorted(set(left_out) - set(adjectives_of(pairs)))
    messages = []
    if strangers:
        messages.append(f"excluded, but no noun of the list: {listed(strangers, MOST_SHOWN)}")
    if counts is None:
        messages.append("(3) is not applied: images are not counted (--images ROOT, --counts FILE)")
    else:
        missing = [pair for pair in pairs if not counts.get(pair)]
        if missing:
            messages.append(
                f"{len(missing):,} pairs of the list have no image: {listed(missing, MOST_SHOWN)}"
            )
    return messages


def read_pairs(file: Path) -> list[str]:
    """Read a list of pairs, one ``adjective_noun`` per line, or VSO's own list with sentiments.

    Raises
    ------
    DataError
        It is not such a list.
    """
    pairs = entries_of(_text(file))
    for pair in pairs:
        if not all(split_pair(pair)) or len(pair.split()) != 1:
            raise DataError(f"{file}: {pair[:60]!r} is not a pair such as happy_dog: wrong list?")
    return _once(file, pairs)


def read_words(file: Path) -> list[str]:
    """Read a list of words, one per line; a `DataError` when it is none."""
    words = entries_of(_text(file))
    for word in words:
        if len(word.split()) != 1 or "_" in word:
            raise DataError(f"{file}: {word[:60]!r} is not one word: write one noun per line")
    return _once(file, words)


def read_counts(file: Path) -> dict[str, int]:
    """Read a CSV file with the columns pair and count.

    Raises
    ------
    DataError
        A line is not a pair and a whole number, or a pair is listed twice.
    """
    try:
        rows = list(csv.reader(io.StringIO(_text(file)), strict=True))
    except csv.Error as error:
        raise DataError(f"{file}: {error}: is it a CSV file of pairs and counts?") from None
    if not rows or rows[0] != COUNTS_HEADING:
        raise DataError(f"{file}: its first line is not {','.join(COUNTS_HEADING)}: write it there")
    counts: dict[str, int] = {}
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != 2 or not re.fullmatch("[0-9]{1,18}", row[1].strip()):
            raise DataError(
                f"{file}, line {line}: {','.join(row)[:60]!r} is not a pair and a count"
            )
        if row[0] in counts:
            raise DataError(f"{file}, line {line}: {row[0]!r} is listed twice: keep one")
        counts[row[0]] = int(row[1])
    return counts


def count_images(root: Path) -> dict[str, int]:
    """Count the files below each folder of `root`: a pair's are in ``<adjective>_<noun>/``.

    They are those that a source of images would list; none is opened.
    """
    tree = FileTree(root)
    return {
        folder: sum(isinstance(file, str) for file in tree.files(folder))
        for folder in tree.folders()
    }


def _text(file: Path) -> str:
    try:
        text = read_text_file(file)
    except UnicodeDecodeError:
        raise DataError(f"{file}: not UTF-8 text: save it as UTF-8") from None
    for line, name in enumerate(text.replace("\t", " ").split("\n"), 1):  # VSO's has columns
        check_name(name, f"{file}:{line}", DataError)
    return text


def _once(file: Path, lines: Iterable[str]) -> list[str]:
    seen: dict[str, None] = {}
    for line in lines:
        if line in seen:
            raise DataError(f"{file}: {line!r} is listed twice: keep one")
        seen[line] = None
    if not seen:
        raise DataError(f"{file}: it is empty: name another list")
    return list(seen)
