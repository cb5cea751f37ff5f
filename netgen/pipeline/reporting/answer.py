"""The answer that a study's report opens with: which sentences are seen, in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from netgen.pipeline.reporting.inside import MOST_PLACES, longest_axis
from netgen.pipeline.reporting.seen import Setting, name_of
from netgen.pipeline.reporting.sentences import Findings, SentenceFinding, SentenceVerdict
from netgen.pipeline.study.study_file import Difference, Study

SEEN, NOT_SEEN, UNDECIDED = SentenceVerdict
HALF_A_POINT = 0.5  # percentage points: the paper's X_S was 0.1 to 2.2 above X_0
CORRECTIONS = {
    "none": "each with an interval of its own",
    "bonferroni": "and the intervals hold for all of them at once (Bonferroni)",
    "benjamini-hochberg": "and of what is seen or not seen, 5% is expected to be wrong (Benjamini"
    " and Hochberg)",
}
Places = Sequence[tuple[Setting, list[SentenceFinding]]]


@dataclass(frozen=True)
class Answer:
    """How many sentences are seen by how many comparisons; each sentence; what follows of all."""

    opening: str
    sentences: list[str]
    closing: list[str]


def answer(study: Study, found: Findings, *, finished: bool = True) -> Answer | None:
    """Return what a study answers; None where it asks nothing, or nothing is trained yet.

    One that is not finished tells how many sentences are asked so far, and nothing of all places.
    """
    places = [(setting, here) for setting, here in found.places if here]
    if not places:
        return None
    counts = Counter(finding.verdict for _, here in places for finding in here)
    asked = max(len(here) for _, here in places)
    where = "" if len(places) == 1 else f", each asked at {len(places)} places of the study"
    of = f"Of {asked} sentence{'s' if asked > 1 else ''}{where}"
    quotes = dict.fromkeys(finding.quote for _, here in places for finding in here)
    if not finished:
        of = f"So far, {_asked_of(study, places, len(found.places))}"
    opening = (
        f"{of}: *seen here* {counts[SEEN]}, *not seen here* {counts[NOT_SEEN]},"
        f" *undecided* {counts[UNDECIDED]}."
        f" That took {found.comparisons:,} comparisons, {CORRECTIONS[study.report.correction]}."
        " Differences are in percentage points, and **bold** where they are decided; their"
        " intervals are in the tables below."
    )
    told = _one_by_one if len(places) <= MOST_PLACES else _counted
    sentences = [told(study, quote, _of(quote, places)) for quote in quotes]
    order = _order(places) if finished else []
    return Answer(opening, sentences, [*order, *_bounded(places)])


def _asked_of(study: Study, places: Places, all_places: int) -> str:
    """Tell how many of the sentences are asked, and at how many of the places."""
    found = [finding.sentence for _, here in places for finding in here]
    asked, every = sum(sentence in found for sentence in study.sentences), len(study.sentences)
    where = f", at {len(places)} of {all_places} places of the study" if all_places > 1 else ""
    are = "is" if asked == 1 else "are"
    return f"{asked} of {every} sentence{'s' if every > 1 else ''} {are} asked{where}"


def _of(quote: str, places: Places) -> list[tuple[Setting, SentenceFinding]]:
    return [(setting, each) for setting, here in places for each in here if each.quote == quote]


def _one_by_one(_: Study, quote: str, found: list[tuple[Setting, SentenceFinding]]) -> str:
    """Tell a sentence's verdict and the means of its contrasts at each place."""
    told = [(name_of(setting), each.verdict.value, _means(each)) for setting, each in found]
    about = found[0][1].sentence.about or "its contrasts"
    if not found[0][0]:
        [(_place, verdict, means)] = told
        return f"*{verdict.capitalize()}*: {quote}. {about}: {means}."
    parts = (f"{name} *{verdict}* ({means})" for name, verdict, means in told)
    return f"{quote}. {about}: {'; '.join(parts)}."


def _means(finding: SentenceFinding) -> str:
    told = ((f"{each.what} {each.mean.value:+.2f}", each.mean.sign) for each in finding.contrasts)
    return ", ".join(f"**{text}**" if decided else text for text, decided in told)


def _counted(study: Study, quote: str, found: list[tuple[Setting, SentenceFinding]]) -> str:
    """Tell at how many places a sentence is seen, in all and by the longest axis."""
    counts = Counter(finding.verdict for _, finding in found)
    axis = str(longest_axis(study))
    by_label = []
    for label in study.axes[axis]:
        of = Counter(finding.verdict for setting, finding in found if setting[axis] == label)
        by_label.append(f"{label}: {of[SEEN]} and {of[NOT_SEEN]} of {of.total()}")
    return (
        f"{quote} **Seen at {counts[SEEN]} of {len(found)} places, not seen at {counts[NOT_SEEN]},"
        f" undecided at {counts[UNDECIDED]}.** Seen and not seen by {axis}: {'; '.join(by_label)}."
    )


def _order(places: Places) -> list[str]:
    """Tell where all sentences are seen, or where most are."""
    if len(places) == 1:
        return []
    scores = {
        name_of(setting): sum(finding.verdict is SEEN for finding in here)
        for setting, here in places
    }
    asked, most = max(len(here) for _, here in places), max(scores.values())
    best = [name for name, score in scores.items() if score == most]
    names = "; ".join(best[:MOST_PLACES]) + ("; …" if len(best) > MOST_PLACES else "")
    if most == asked:
        return [f"All {asked} sentences are seen at {len(best)} of {len(places)} places: {names}."]
    if most == 0:
        return ["At no place is any of the sentences seen."]
    return [f"At no place are all {asked} sentences seen. Most are, {most}, at: {names}."]


def _bounded(places: Places) -> list[str]:
    """Tell which undecided differences are less than half a point whatever their sign."""
    if len(places) > MOST_PLACES:
        return []
    bounded = [
        f"{finding.sentence.about} on {contrast.what}{f' ({name_of(setting)})' if setting else ''}"
        for setting, here in places
        for finding in here
        if isinstance(finding.sentence, Difference)
        and (finding.sentence.share, finding.sentence.plus) == (1.0, 0.0)
        for contrast in finding.contrasts
        if contrast.mean.sign == 0
        and contrast.mean.low is not None
        and contrast.mean.high is not None
        and max(-contrast.mean.low, contrast.mean.high) < HALF_A_POINT
    ]
    told = "Undecided, but less than half a point either way"
    return [f"{told}: {'; '.join(bounded)}."] if bounded else []
