"""Section 5.1, the text's examples and Figure 6, compared with the public class lists."""

from __future__ import annotations

from netgen import paper
from netgen.audit.measurements.measurement import AuditInputs, Found, NeedsData, measures
from netgen.audit.measurements.public_lists import FILES, chain, labels
from netgen.paper.claims import Measure
from netgen.paper.ontology import (
    adjectives_of,
    isolated,
    nouns_of,
    split_pair,
    with_rich_adjectives,
)


@measures(Measure.LINES_OF)
def lines_of(inputs: AuditInputs, name: str) -> Found:
    """Classes in a list."""
    count = len(set(labels(inputs, name)))
    return Found(f"{count:,} different classes", FILES[name], (count,))


@measures(Measure.FEWER_ADJECTIVES)
def fewer_adjectives(inputs: AuditInputs) -> Found:
    """Whether fewer adjectives than nouns compose the 1,200."""
    pairs = labels(inputs, "1200")
    adjectives, nouns = len(nouns_of(pairs)), len(adjectives_of(pairs))
    return Found(
        f"{adjectives} adjectives, {nouns} nouns", FILES["1200"], holds=adjectives < nouns
    )  # fmt: skip


@measures(Measure.SINGLETONS)
def singletons(inputs: AuditInputs) -> Found:
    """Pairs that share nothing, before and after."""
    before, after = isolated(labels(inputs, "1200")), isolated(labels(inputs, "anp"))
    return Found(
        f"{len(before)} of the 1,200; {len(after)} are left in the 553: {', '.join(after)}",
        f"{FILES['1200']}, {FILES['anp']}",
        holds=bool(before),
    )


@measures(Measure.FEWEST_NOUNS)
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
        f"{FILES['1200' if name == '1200' else 'anp']}, {FILES['adj']}",
        (min(counts),),
        fits="the criterion was applied to the 1,200, before the others"
        if name != "1200" and meant >= least
        else "",
    )


@measures(Measure.NOUNS_DROPPED)
def nouns_dropped(inputs: AuditInputs, *nouns: str) -> Found:
    """Whether the nouns named as dropped are among the 1,200's and not among the kept."""
    kept, before = set(labels(inputs, "noun")), adjectives_of(labels(inputs, "1200"))
    most = sorted(kept, key=lambda noun: -len(before.get(noun, ())))[0]
    return Found(
        "; ".join(f"{noun} ({len(before.get(noun, ()))} pairs) dropped" for noun in nouns)
        + f"; {most} ({len(before.get(most, ()))}) stays",
        f"{FILES['noun']}, {FILES['1200']}",
        holds=not kept.intersection(nouns),
    )


@measures(Measure.EDGE_COVERAGE)
def edge_coverage(inputs: AuditInputs) -> Found:
    """Kept pairs, compared with those that the kept nouns and adjectives allow."""
    vso, first, second, third, final = chain(inputs)
    raise NeedsData(
        f"the corpus' number of images per pair: criterion (3) may have removed {third - final}",
        f"{vso:,} → {first:,} (adjectives with {paper.LEAST_NOUNS} nouns) → {second} (noun kept) →"
        f" {third} (adjective kept) → {final}: coverage is not maximal unless those fell to"
        " criterion (3)",
    )


@measures(Measure.UNEXPLAINED)
def unexplained(inputs: AuditInputs) -> Found:
    """Report what is gone although criterion (1) and the kept words allow it."""
    pairs = labels(inputs, "1200")
    nouns, adjectives = set(labels(inputs, "noun")), set(labels(inputs, "adj"))
    gone = set(nouns_of(with_rich_adjectives(pairs))) - adjectives
    left = [pair for pair in pairs if split_pair(pair)[0] in gone and split_pair(pair)[1] in nouns]
    dropped = set(adjectives_of(pairs)) - nouns
    abstract = sorted(nouns & {"beauty", "wonder"})
    raise NeedsData(
        "the number of images per pair, and which nouns the authors regard as biasing or abstract",
        f"{len(gone)} adjectives with at least {paper.LEAST_NOUNS} nouns are gone,"
        f" {len(nouns_of(left))} of them with {len(left)} pairs whose noun stays; {len(dropped)}"
        f" nouns are gone, while {' and '.join(abstract)} stay",
    )


@measures(Measure.NORMALISED_NODES)
def normalised_nodes(inputs: AuditInputs) -> Found:
    """Whether the ratio of nouns to adjectives is nearer to one than before."""
    pairs = labels(inputs, "1200")
    before = len(adjectives_of(pairs)) / len(nouns_of(pairs))
    after = len(labels(inputs, "noun")) / len(labels(inputs, "adj"))
    return Found(
        f"{before:.2f} nouns per adjective before, {after:.2f} after",
        f"{FILES['1200']}, {FILES['noun']}, {FILES['adj']}",
        holds=abs(after - 1) < abs(before - 1),
    )


@measures(Measure.PAIRS_WELL_FORMED)
def pairs_well_formed(inputs: AuditInputs) -> Found:
    """Whether every pair is a kept adjective and a kept noun, each used, and is in the 1,200."""
    pairs = labels(inputs, "anp")
    nouns, adjectives = set(labels(inputs, "noun")), set(labels(inputs, "adj"))
    holds = set(nouns_of(pairs)) == adjectives and set(adjectives_of(pairs)) == nouns
    return Found(
        "every pair is of a listed adjective and noun, and one of the 1,200",
        f"{FILES['anp']}, {FILES['noun']}, {FILES['adj']}, {FILES['1200']}",
        holds=holds and set(pairs) <= set(labels(inputs, "1200")),
    )


@measures(Measure.DEEPSENTIBANK_SUBSET)
def deepsentibank_subset(inputs: AuditInputs) -> Found:
    """Whether DeepSentiBank has an output for every kept pair."""
    outputs, pairs = set(labels(inputs, "deepsentibank")), labels(inputs, "anp")
    found = sum(pair in outputs for pair in pairs)
    return Found(
        f"{found} of {len(pairs)} are among its outputs",
        f"{FILES['deepsentibank']}, {FILES['anp']}",
        holds=found == len(pairs),
    )


@measures(Measure.PAIRS_IN)
def pairs_in(inputs: AuditInputs, *pairs: str) -> Found:
    """Whether the pairs that the text names as examples are in VSO."""
    where = {pair: _where(inputs, pair) for pair in pairs}
    absent = [pair for pair, place in where.items() if place == "in no list"]
    nearest = adjectives_of(labels(inputs, "3244"))
    others = [_pair_with(noun, nearest) for noun in map(_noun, absent)]
    return Found(
        "; ".join(f"{pair} {place}" for pair, place in where.items()),
        f"{FILES['anp']}, {FILES['1200']}, {FILES['3244']}",
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


@measures(Measure.LABELS_IN)
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
        ", ".join(FILES[task] for task in shown),
        holds=not absent,
    )
