"""Adjective-noun pairs, and their bipartite graph: adjectives, nouns, and one edge per pair.

Section 5.1 selects a part of such a graph. Its criteria that need no images are here, for the
package that applies them (`data_prep.criteria`) and the one that checks them (`netgen.audit`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from netgen.paper import printed as paper

# The authors' names for their lists of classes: one class per line, in label order.
CLASS_LISTS = {task: f"mtvso_{task}labels.txt" for task in paper.TASKS}
# A pair in VSO's full list, where adjectives are headings and pairs are indented below them.
PAIR_IN_VSO = re.compile(r"\s+(\S+) \[sentiment")


def entries_of(text: str) -> list[str]:
    """Return what a list has, one per line; of VSO's list with sentiments, the pairs."""
    lines = text.splitlines()
    indented = (found[1] for line in lines if (found := PAIR_IN_VSO.match(line)))
    pairs = [word for word in indented if "_" in word[1:-1]]
    return pairs or [line.strip() for line in lines if line.strip()]


def split_pair(pair: str) -> tuple[str, str]:
    """Return adjective and noun of a pair, written ``adjective_noun``."""
    adjective, _, noun = pair.partition("_")
    return adjective, noun


def nouns_of(pairs: Iterable[str]) -> dict[str, set[str]]:
    """Return the nouns that each adjective is paired with."""
    nouns: defaultdict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        adjective, noun = split_pair(pair)
        nouns[adjective].add(noun)
    return dict(nouns)


def adjectives_of(pairs: Iterable[str]) -> dict[str, set[str]]:
    """Return the adjectives that each noun is paired with."""
    adjectives: defaultdict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        adjective, noun = split_pair(pair)
        adjectives[noun].add(adjective)
    return dict(adjectives)


def with_rich_adjectives(pairs: Sequence[str], least: int = paper.LEAST_NOUNS) -> list[str]:
    """Return the pairs whose adjective has at least that many nouns among `pairs`.

    Criterion (1) of section 5.1. The authors applied it to VSO's 1,200, before the others: 36 of
    their 117 adjectives have fewer than 3 nouns among the 553 pairs that they kept.
    """
    nouns = nouns_of(pairs)
    return [pair for pair in pairs if len(nouns[split_pair(pair)[0]]) >= least]


def isolated(pairs: Sequence[str]) -> list[str]:
    """Return the pairs that share neither adjective nor noun with another."""
    nouns, adjectives = nouns_of(pairs), adjectives_of(pairs)
    return [
        pair
        for pair in pairs
        if len(nouns[split_pair(pair)[0]]) == len(adjectives[split_pair(pair)[1]]) == 1
    ]
