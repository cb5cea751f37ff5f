"""Section 5.1, the text's examples and Figure 6, compared with the public class lists."""

from __future__ import annotations

from netgen import paper
from netgen.audit.measurements.measurement import AuditInputs, Basis, Found, NeedsData, measures
from netgen.audit.measurements.public_lists import allowed, chain, cited, labels
from netgen.paper.claims import Measure
from netgen.paper.ontology import (
    adjectives_of,
    isolated,
    nouns_of,
    split_pair,
    with_rich_adjectives,
)


@measures(Measure.LINES_OF, Basis.LISTS)
def lines_of(inputs: AuditInputs, name: str) -> Found:
    """Classes in a list."""
    count = len(set(labels(inputs, name)))
    return Found(f"{count:,} different classes", cited(inputs, name), (count,))


@measures(Measure.FEWER_ADJECTIVES, Basis.ALLOWED)  # no bound of “far” is printed
def fewer_adjectives(inputs: AuditInputs) -> Found:
    """Whether fewer adjectives than nouns compose the 1,200."""
    pairs = labels(inputs, "1200")
    adjectives, nouns = len(nouns_of(pairs)), len(adjectives_of(pairs))
    shown = f"{adjectives} adjectives, {nouns} nouns: {nouns / adjectives:.2f} nouns per adjective"
    evidence = f"{cited(inputs, '1200')}; tested: fewer; how many are “far less” is not printed"
    return Found(shown, evidence, holds=adjectives < nouns)


@measures(Measure.SINGLETONS, Basis.LISTS)
def singletons(inputs: AuditInputs) -> Found:
    """Pairs that share nothing in the graph of the 1,200, and in that of the kept pairs."""
    before, kept = isolated(labels(inputs, "1200")), labels(inputs, "anp")
    after = [pair for pair in isolated(kept) if pair not in before]
    stay = [pair for pair in before if pair in kept]
    return Found(
        f"{len(before)} in the graph of the 1,200 ({', '.join(before) or 'none'}), of which"
        f" {_named(stay)} kept among the 553; {len(after)} others in the graph of the 553"
        f" ({', '.join(after) or 'none'}), which share words with pairs that were dropped",
        cited(inputs, "1200", "anp"),
        holds=bool(before),
    )


def _named(pairs: list[str]) -> str:
    return f"{', '.join(pairs)} {'is' if len(pairs) == 1 else 'are'}" if pairs else "none is"


@measures(Measure.FEWEST_NOUNS, Basis.LISTS)
def fewest_nouns(inputs: AuditInputs, name: str) -> Found:
    """Fewest nouns of a kept adjective, among the 1,200 or the final pairs."""
    pairs = nouns_of(labels(inputs, "1200" if name == "1200" else "anp"))
    before = nouns_of(labels(inputs, "1200"))
    kept = labels(inputs, "adj")
    counts = [len(pairs.get(adjective, ())) for adjective in kept]
    meant = min(len(before.get(adjective, ())) for adjective in kept)
    least = paper.LEAST_NOUNS
    few = sum(count < least for count in counts)
    return Found(
        f"at least {min(counts)}; {few} of {len(kept)} adjectives have fewer than {least}",
        cited(inputs, "1200" if name == "1200" else "anp", "adj"),
        (min(counts),),
        fits="the criterion was applied to the 1,200, before the others"
        if name != "1200" and meant >= least
        else "",
    )


@measures(Measure.NOUNS_DROPPED, Basis.ALLOWED)  # words looked up: no rule that can be tested
def nouns_dropped(inputs: AuditInputs, *nouns: str) -> Found:
    """Whether the nouns named as dropped are among the 1,200's and not among the kept.

    Which other nouns have as many pairs and were kept shows that the words do not make a rule.
    """
    kept, before = set(labels(inputs, "noun")), adjectives_of(labels(inputs, "1200"))
    pairs = {noun: len(found) for noun, found in before.items()}
    gone = [noun for noun in nouns if noun in pairs and noun not in kept]
    least = min(pairs.get(noun, 0) for noun in nouns)
    more = sorted((n for n in kept if pairs.get(n, 0) > least), key=lambda n: (-pairs[n], n))
    stay = f"{len(more)} nouns with more pairs than the least of them stay"
    return Found(
        f"{len(gone)} of the {len(nouns)} named words are dropped (pairs:"
        f" {', '.join(f'{noun} {pairs.get(noun, 0)}' for noun in nouns)}); {stay}"
        + (f", {more[0]} ({pairs[more[0]]}) first" if more else ""),
        f"{cited(inputs, 'noun', '1200')}; no other noun is named, nor a rule",
        holds=len(gone) == len(nouns),
    )


@measures(Measure.EDGE_COVERAGE, Basis.LISTS)
def edge_coverage(inputs: AuditInputs) -> Found:
    """Whether the kept pairs are all that the kept nouns and adjectives allow."""
    vso, first, second, third, final = chain(inputs)
    shown = (
        f"{vso:,} → {first:,} (adjectives with {paper.LEAST_NOUNS} nouns) → {second} (noun kept) →"
        f" {third} (adjective kept) → {final}"
    )
    if set(labels(inputs, "anp")) >= set(allowed(inputs)[-1]):
        return Found(f"{shown}: every pair", cited(inputs, "1200", "noun", "adj", "anp"))
    raise NeedsData(
        f"the corpus' number of images per pair: criterion (3) may have removed {third - final};"
        f" {cited(inputs, '1200', 'noun', 'adj', 'anp')}",
        f"{shown}: coverage is not maximal unless those fell to criterion (3)",
    )


@measures(Measure.UNEXPLAINED, Basis.LISTS)
def unexplained(inputs: AuditInputs) -> Found:
    """Report what is gone although criterion (1) and the kept words allow it."""
    pairs = labels(inputs, "1200")
    nouns, adjectives = set(labels(inputs, "noun")), set(labels(inputs, "adj"))
    gone = set(nouns_of(with_rich_adjectives(pairs))) - adjectives
    left = [pair for pair in pairs if split_pair(pair)[0] in gone and split_pair(pair)[1] in nouns]
    dropped = set(adjectives_of(pairs)) - nouns
    abstract = sorted(nouns & {"beauty", "wonder"})
    shown = (
        f"{len(gone)} adjectives with at least {paper.LEAST_NOUNS} nouns are gone,"
        f" {len(nouns_of(left))} of them with {len(left)} pairs whose noun stays; {len(dropped)}"
        f" nouns are gone, while {' and '.join(abstract) or 'no abstract one'} stay"
    )
    if not gone and not dropped:
        return Found(shown, cited(inputs, "1200", "noun", "adj"))
    raise NeedsData(
        "the number of images per pair, and which nouns the authors regard as biasing or abstract;"
        f" {cited(inputs, '1200', 'noun', 'adj')}",
        shown,
    )


@measures(Measure.PAIRS_WELL_FORMED, Basis.LISTS)
def pairs_well_formed(inputs: AuditInputs) -> Found:
    """Whether every pair is a kept adjective and a kept noun, each used, and is in the 1,200."""
    pairs, vso = labels(inputs, "anp"), set(labels(inputs, "1200"))
    nouns, adjectives = set(labels(inputs, "noun")), set(labels(inputs, "adj"))
    good = [p for p in pairs if split_pair(p)[0] in adjectives and split_pair(p)[1] in nouns]
    used = set(nouns_of(pairs)) == adjectives and set(adjectives_of(pairs)) == nouns
    return Found(
        f"{len(good)} of {len(pairs)} pairs are of a listed adjective and noun, and"
        f" {len(vso & set(pairs))} are among the 1,200",
        cited(inputs, "anp", "noun", "adj", "1200"),
        holds=used and len(good) == len(pairs) and set(pairs) <= vso,
    )


@measures(Measure.DEEPSENTIBANK_SUBSET, Basis.LISTS)
def deepsentibank_subset(inputs: AuditInputs) -> Found:
    """Whether DeepSentiBank has an output for every kept pair."""
    outputs, pairs = set(labels(inputs, "deepsentibank")), labels(inputs, "anp")
    found = sum(pair in outputs for pair in pairs)
    return Found(
        f"{found} of {len(pairs)} are among its outputs",
        cited(inputs, "deepsentibank", "anp"),
        holds=found == len(pairs),
    )


@measures(Measure.PAIRS_IN, Basis.LISTS)
def pairs_in(inputs: AuditInputs, *pairs: str) -> Found:
    """Whether the pairs that the text names as examples are in VSO."""
    where = {pair: _where(inputs, pair) for pair in pairs}
    absent = [pair for pair, place in where.items() if place == "in no list"]
    nearest = adjectives_of(labels(inputs, "3244"))
    others = [_pair_with(noun, nearest) for noun in map(_noun, absent)]
    return Found(
        "; ".join(f"{pair} {place}" for pair, place in where.items()),
        cited(inputs, "anp", "1200", "3244"),
        holds=not absent,
        fits=f"VSO has these nouns with other adjectives: {', '.join(others)}"
        if all(others)
        else "",
    )


def _noun(pair: str) -> str:
    return split_pair(pair)[1]


def _pair_with(noun: str, adjectives: dict[str, set[str]]) -> str:
    """Return a pair of VSO with that noun, or nothing."""
    return next((f"{adjective}_{noun}" for adjective in sorted(adjectives.get(noun, ()))), "")


def _where(inputs: AuditInputs, pair: str) -> str:
    places = {"anp": "in the 553", "1200": "in the 1,200", "3244": "in the 3,244"}
    found = (place for name, place in places.items() if pair in labels(inputs, name))
    return next(found, "in no list")


@measures(Measure.LABELS_IN, Basis.LISTS)
def labels_in(inputs: AuditInputs, adjectives: str, pairs: str, nouns: str) -> Found:
    """Whether every label that Figure 6 shows is a class of its task."""
    words = pairs.split()
    shown = {
        "adj": adjectives.split(),
        "noun": nouns.split(),
        "anp": ["_".join(pair) for pair in zip(words[::2], words[1::2], strict=True)],
    }
    absent = [x for task, found in shown.items() for x in found if x not in labels(inputs, task)]
    total = sum(map(len, shown.values()))
    return Found(
        f"{total - len(absent)} of {total} labels are classes",
        cited(inputs, *shown),
        holds=not absent,
    )
