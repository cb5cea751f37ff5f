"""A picture of an ontology: adjectives on the left, nouns on the right, a line per pair.

Kept words are above the omitted ones, in an order in which few lines cross.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.path import Path as Curve

from netgen.figures.style import CROSS_COLOR, FONT, INK, TASK_COLORS
from netgen.paper.ontology import adjectives_of, nouns_of, split_pair

# Pixels: from word to word, between kept and left out, above, below; the width, the lines' ends.
ROW, GAP, TOP, BOTTOM = 11, 26, 78, 20
WIDTH, LEFT, RIGHT = 1000, 170, 830
WORD, TEXT, TITLE = 6.2, 7.5, 10  # points
KEPT, *LEFT_OUT = (TASK_COLORS[0], TASK_COLORS[1], CROSS_COLOR, TASK_COLORS[3], TASK_COLORS[2])
PALE = "#98A2AC"
SWEEPS = 20  # of ordering; after these, hardly anything moves

Heights = Mapping[str, float]


def ontology_figure(pairs: Mapping[str, str], title: str) -> Figure:
    """Draw the pairs of an ontology.

    Parameters
    ----------
    pairs
        ``adjective_noun`` -> why it is omitted, "" for a kept one; at least one is kept.
    title
        The title above.
    """
    kept = [pair for pair, reason in pairs.items() if not reason]
    lost = [pair for pair, reason in pairs.items() if reason]
    adjectives, nouns, height = _places(kept, lost)
    figure = Figure(figsize=(WIDTH / 100, height / 100), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    reasons = sorted({reason for reason in pairs.values() if reason})
    colors = {"": KEPT} | dict(zip(reasons, LEFT_OUT, strict=False))
    for reason in (*reasons, ""):  # what is kept lies on top
        of_reason = [pair for pair, why in pairs.items() if why == reason]
        _draw_pairs(axes, of_reason, adjectives, nouns, colors[reason])
    _write_words(axes, adjectives, nouns_of(kept), LEFT - 5, "right")
    _write_words(axes, nouns, adjectives_of(kept), RIGHT + 5, "left")
    _write(axes, WIDTH / 2, 20, title, TITLE, INK, "center")
    _write_legend(axes, pairs, colors)
    return figure


def _places(kept: Sequence[str], lost: Sequence[str]) -> tuple[Heights, Heights, float]:
    """Return the height of every adjective and of every noun, and of the picture."""
    adjectives, nouns = _ordered(kept)
    found = zip(_ordered(lost), (adjectives, nouns), strict=True)
    more = [[word for word in words if word not in above] for words, above in found]
    middle = TOP + ROW * max(len(adjectives), len(nouns))
    end = middle + GAP + ROW * max(map(len, more)) if any(more) else middle
    left = _spread(adjectives, TOP, middle) | _spread(more[0], middle + GAP, end)
    right = _spread(nouns, TOP, middle) | _spread(more[1], middle + GAP, end)
    return left, right, end + BOTTOM


def _spread(words: Sequence[str], start: float, end: float) -> dict[str, float]:
    """Return a height for every word, evenly from `start` to `end`."""
    return {
        word: start + (place + 0.5) * (end - start) / len(words) for place, word in enumerate(words)
    }


def _ordered(pairs: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return adjectives and nouns, each near the mean place of its partners."""
    pairs = list(pairs)
    nouns, adjectives = nouns_of(pairs), adjectives_of(pairs)
    left, right = sorted(nouns), sorted(adjectives)
    for _ in range(SWEEPS):
        right = _sorted_by(right, adjectives, left)
        left = _sorted_by(left, nouns, right)
    return left, right


def _sorted_by(
    words: Sequence[str], partners: Mapping[str, set[str]], others: Sequence[str]
) -> list[str]:
    place = {word: index / len(others) for index, word in enumerate(others)}
    mean = {
        word: sum(map(place.__getitem__, partners[word])) / len(partners[word]) for word in words
    }
    return sorted(words, key=lambda word: (mean[word], word))


def _draw_pairs(
    axes: Axes, pairs: Sequence[str], adjectives: Heights, nouns: Heights, color: str
) -> None:
    kept = color == KEPT
    curves = [_curve(adjectives[a], nouns[n]) for a, n in map(split_pair, pairs)]
    axes.add_collection(
        PathCollection(
            curves, facecolors="none", edgecolors=color, linewidths=0.7 if kept else 0.45,
            alpha=0.75 if kept else 0.5,
        )
    )  # fmt: skip


def _curve(start: float, end: float) -> Curve:
    """Return a curve from an adjective to a noun that starts and ends horizontally."""
    bend = (RIGHT - LEFT) * 0.35
    points = [(LEFT, start), (LEFT + bend, start), (RIGHT - bend, end), (RIGHT, end)]
    return Curve(points, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])


def _write_words(
    axes: Axes, places: Heights, partners: Mapping[str, set[str]], x: float, side: str
) -> None:
    """Write words, each with the number of its kept pairs."""
    for word, y in places.items():
        count = len(partners.get(word, ()))
        text = (f"{count}  {word}" if side == "right" else f"{word}  {count}") if count else word
        _write(axes, x, y, text, WORD, INK if count else PALE, side)


def _write_legend(axes: Axes, pairs: Mapping[str, str], colors: Mapping[str, str]) -> None:
    for index, (reason, color) in enumerate(colors.items()):
        count = list(pairs.values()).count(reason)
        label = f"{count:,} left out by {reason}" if reason else f"{count:,} kept"
        x, y = LEFT + (index % 2) * 330, 42 + 14 * (index // 2)
        axes.plot([x, x + 24], [y, y], color=color, linewidth=2)
        _write(axes, x + 30, y, label, TEXT, INK, "left")


def _write(axes: Axes, x: float, y: float, text: str, size: float, color: str, side: str) -> None:
    axes.text(x, y, text, fontfamily=FONT, fontsize=size, color=color, ha=side,
              va="center_baseline")  # fmt: skip
