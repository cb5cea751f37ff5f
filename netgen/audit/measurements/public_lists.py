"""The public lists that section 5.1 describes: where they are published, and which file is which.

A folder given with ``--ontology`` holds the class lists under the names of `LISTS`. A file with
another SHA-256 is used all the same, and every row that rests on it says so.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from netgen.audit.measurements.measurement import AuditInputs, NeedsData
from netgen.paper.ontology import CLASS_LISTS, entries_of, split_pair, with_rich_adjectives
from netgen.system.files import read_file


@dataclass(frozen=True)
class PublishedList:
    """A class list: its place in the folder, where it is published, and the file's SHA-256."""

    file: str
    published: str
    sha256: str


VSO = "the Visual Sentiment Ontology (visual-sentiment-ontology.appspot.com)"
GIST = "the first author's gist 547112cc41b831ec1905e75deae11104"
# fmt: off
LISTS = {
    "1200": PublishedList(
        "vso/1200ANPs.txt", f"{VSO}, 1200ANPsv1.1.txt",
        "c58cbc66e168151ccabb3a307bc34ff035e8900eea8950ac577d8a6987cd1a7b"),
    "3244": PublishedList(
        "vso/3244ANPs.txt", f"{VSO}, 3244ANPs.txt",
        "b888cc819d25e9d931f6ebcfb43808b7e2f2702b1a1617ac80863734e4d1dda7"),
    "noun": PublishedList(
        f"mtvso/{CLASS_LISTS['noun']}", GIST,
        "06694b3eaa7af0dd5e34402a2671432589f52f8e7916e1df4f10500145677a67"),
    "adj": PublishedList(
        f"mtvso/{CLASS_LISTS['adj']}", GIST,
        "71716df4c4b75ebdccb0a82a9da9f178383680edf1f572463a102cafd26c014b"),
    "anp": PublishedList(
        f"mtvso/{CLASS_LISTS['anp']}", GIST,
        "bcbf75a75b7fcc51269a4709072f71b2cf1a25c00b0d4679a233bf5e68de0062"),
    "deepsentibank": PublishedList(
        "deepsentibank/classes.json", "the DeepSentiBank release, its outputs in order, as JSON",
        "2b3b24d5e3686402e959341c909fbb32232265bf99b1fac526e5ee2badc66b44"),
}
# fmt: on
PAIRS = {"1200", "3244", "anp", "deepsentibank"}
SHORT = 12  # digits of a hash in a row


def labels(inputs: AuditInputs, name: str) -> list[str]:
    """Return a list of classes.

    Raises
    ------
    NeedsData
        No ``--ontology`` folder is given, or the file is not in it.
    ValueError
        The file is not the list that it should be.
    """
    listed = LISTS[name]
    if inputs.ontology is None:
        raise NeedsData(
            f"{listed.file} (public: {listed.published}; SHA-256 {listed.sha256}): --ontology DIR"
        )
    file = inputs.ontology / listed.file
    found = list(_classes(file))
    if not found:
        raise ValueError(f"{file}: no classes in it: get it again")
    odd = next((label for label in found if "_" not in label), None)
    if name in PAIRS and odd is not None:
        raise ValueError(f"{file}: {odd[:60]!r} is no pair such as happy_dog: is it another list?")
    return found


def cited(inputs: AuditInputs, *names: str) -> str:
    """Return the files of lists as evidence; those that are not the published ones say so."""
    return ", ".join(_cited(inputs, LISTS[name]) for name in names)


def _cited(inputs: AuditInputs, listed: PublishedList) -> str:
    digest = sha256_of(inputs, listed)
    if digest in (None, listed.sha256):
        return listed.file
    return (
        f"{listed.file} (NOT the published list: SHA-256 {digest[:SHORT]}…, published"
        f" {listed.sha256[:SHORT]}…)"
    )


def not_published(inputs: AuditInputs) -> list[PublishedList]:
    """Return the lists in the folder that are other files than the published ones."""
    return [x for x in LISTS.values() if sha256_of(inputs, x) not in (None, x.sha256)]


def sha256_of(inputs: AuditInputs, listed: PublishedList) -> str | None:
    """Return the SHA-256 of a list's file; None where there is none to read."""
    file = inputs.ontology and inputs.ontology / listed.file
    try:
        return _sha256(file) if file and file.is_file() else None
    except NeedsData:  # not readable, which the rows that need it say
        return None


@cache
def _sha256(file: Path) -> str:
    return hashlib.sha256(_read(file)).hexdigest()


@cache
def _read(file: Path) -> bytes:
    try:
        return read_file(file)
    except OSError as error:
        raise NeedsData(f"{file}: {error.strerror}") from None


@cache
def _classes(file: Path) -> tuple[str, ...]:
    text = _read(file).decode("utf-8", errors="replace")
    return _from_json(text, file) if file.suffix == ".json" else tuple(entries_of(text))


def _from_json(text: str, file: Path) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ValueError(f"{file}: no list in JSON: is it DeepSentiBank's classes?")
    return tuple(map(str, found))


def allowed(inputs: AuditInputs) -> tuple[list[str], list[str], list[str], list[str]]:
    """Return the pairs that are left: of VSO; by criterion (1); noun kept; adjective kept.

    The criteria stop before the final list: what removed the rest is not in public data.
    """
    pairs = labels(inputs, "1200")
    nouns, adjectives = set(labels(inputs, "noun")), set(labels(inputs, "adj"))
    first = with_rich_adjectives(pairs)
    second = [pair for pair in first if split_pair(pair)[1] in nouns]
    third = [pair for pair in second if split_pair(pair)[0] in adjectives]
    return pairs, first, second, third


def chain(inputs: AuditInputs) -> tuple[int, ...]:
    """Return how many pairs each step of `allowed` leaves, and how many the final list has."""
    return (*map(len, allowed(inputs)), len(labels(inputs, "anp")))
