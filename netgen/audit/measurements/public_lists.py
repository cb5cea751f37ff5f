"""The public class lists that section 5.1 describes.

A folder given with ``--ontology`` holds, under these names:

- ``vso/1200ANPs.txt``, ``vso/3244ANPs.txt``: the Visual Sentiment Ontology's lists;
- ``mtvso/mtvso_{noun,adj,anp}labels.txt``: the authors' own, from the first author's gist
  547112cc41b831ec1905e75deae11104;
- ``deepsentibank/classes.json``: the outputs of the DeepSentiBank release.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from netgen.audit.measurements.measurement import AuditInputs, NeedsData
from netgen.paper.ontology import CLASS_LISTS, entries_of, split_pair, with_rich_adjectives

FILES = {
    "1200": "vso/1200ANPs.txt",
    "3244": "vso/3244ANPs.txt",
    **{task: f"mtvso/{file}" for task, file in CLASS_LISTS.items()},
    "deepsentibank": "deepsentibank/classes.json",
}
ORIGINS = {
    "vso": "the Visual Sentiment Ontology's lists (public: visual-sentiment-ontology)",
    "mtvso": "the authors' class lists (public: gist 547112cc41b831ec1905e75deae11104)",
    "deepsentibank": "DeepSentiBank's classes (public: its release)",
}
PAIRS = {"1200", "3244", "anp", "deepsentibank"}


def labels(inputs: AuditInputs, name: str) -> list[str]:
    """Return a list of classes.

    Raises
    ------
    NeedsData
        No ``--ontology`` folder is given, or the file is not in it.
    ValueError
        The file is not the list that it should be.
    """
    if inputs.ontology is None:
        raise NeedsData(f"{ORIGINS[FILES[name].partition('/')[0]]}: --ontology DIR")
    file = inputs.ontology / FILES[name]
    found = list(_read(file))
    if not found:
        raise ValueError(f"{file}: no classes in it: get it again")
    odd = next((label for label in found if "_" not in label), None)
    if name in PAIRS and odd is not None:
        raise ValueError(f"{file}: {odd[:60]!r} is no pair such as happy_dog: is it another list?")
    return found


@cache
def _read(file: Path) -> tuple[str, ...]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NeedsData(f"{file}: {error.strerror}") from None
    if file.suffix == ".json":
        return _from_json(text, file)
    return tuple(entries_of(text))


def _from_json(text: str, file: Path) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ValueError(f"{file}: no list in JSON: is it DeepSentiBank's classes?")
    return tuple(map(str, found))


def chain(inputs: AuditInputs) -> tuple[int, int, int, int, int]:
    """Return how many pairs are left: of VSO; by criterion (1); noun kept; adjective kept; final.

    The criteria stop before the last step: what removed the rest is not in public data.
    """
    pairs = labels(inputs, "1200")
    nouns, adjectives = set(labels(inputs, "noun")), set(labels(inputs, "adj"))
    first = with_rich_adjectives(pairs)
    second = [pair for pair in first if split_pair(pair)[1] in nouns]
    third = [pair for pair in second if split_pair(pair)[0] in adjectives]
    return len(pairs), len(first), len(second), len(third), len(labels(inputs, "anp"))
