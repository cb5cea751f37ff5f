"""What can be computed: counts, chance, and arithmetic on the paper's own printed numbers."""

from __future__ import annotations

from math import prod, sqrt

from netgen import paper
from netgen.audit.measurements.measurement import Context, Found, measurement
from netgen.audit.measurements.parsed_networks import TASKS
from netgen.paper import TABLE_2
from netgen.paper.claims.results import ROWS

Interval = tuple[float, float]
# Parameters of a classifier's output: its inputs and a bias. AlexNet's and VGG's fc7 has 4,096,
# GoogLeNet's pool (and each auxiliary head) 1,024, ResNet-50's pool 2,048.
OUTPUT = {"CaffeNet": 4_097, "Inception-v1": 1_025, "VggNet-16": 4_097, "ResNet-50": 2_049}
TRAINING = "Table 2's accuracies, which need training"


# ---- parameters ---------------------------------------------------------------------------------


# ---- accuracies ---------------------------------------------------------------------------------


def _accuracies(network: str) -> dict[tuple[str, int], float]:
    """Return a network's printed accuracies, task and k to percent."""
    rows = [row for row in TABLE_2 if row.network == network]
    return {(r.task, k): float(t) for r in rows for k, t in ((1, r.top1), (5, r.top5))}


def _gains(better: str, worse: str) -> dict[tuple[str, int], float]:
    """Return relative gains in percent."""
    base = _accuracies(worse)
    return {key: 100 * (top / base[key] - 1) for key, top in _accuracies(better).items()}


def _text(gains: dict[tuple[str, int], float]) -> str:
    return ", ".join(f"{task} top-{k} {gain:.2f}" for (task, k), gain in gains.items())


def _top1(network: str, task: str) -> str:
    return ROWS[network, task].top1


@measurement
def gain(_: Context, better: str, worse: str, task: str) -> Found:
    """Relative gain in top-1 accuracy, in percent; of the other tasks too."""
    gains = _gains(better, worse)
    evidence = f"{_top1(better, task)} / {_top1(worse, task)} - 1; {TRAINING}; {_text(gains)}"
    return Found(f"{gains[task, 1]:.3f} %", evidence, (gains[task, 1],), proves=False)


@measurement
def drop(_: Context, worse: str, better: str, task: str) -> Found:
    """Relative loss in top-1 accuracy, in percent."""
    losses = {key: -value for key, value in _gains(worse, better).items()}
    evidence = f"1 - {_top1(worse, task)} / {_top1(better, task)}; {TRAINING}; {_text(losses)}"
    return Found(f"{losses[task, 1]:.3f} %", evidence, (losses[task, 1],), proves=False)


@measurement
def largest_gain(_: Context) -> Found:
    """Whether ANP detection is hardest, and gains most from cross-residuals."""
    gains = {t: g for (t, k), g in _gains("X_S-ResNet-50", "X_0-ResNet-50").items() if k == 1}
    scores = {t: top for (t, k), top in _accuracies("X_S-ResNet-50").items() if k == 1}
    return Found(
        ", ".join(f"{task} +{value:.2f} %" for task, value in gains.items()),
        f"X_S over X_0, top-1: {TRAINING}",
        (len(gains),),
        holds=max(gains, key=gains.__getitem__) == min(scores, key=scores.__getitem__) == "anp",
        proves=False,
    )


@measurement
def order_of_tasks(_: Context) -> Found:
    """Whether noun is above adjective above ANP in every network with all three."""
    names = dict.fromkeys(row.network for row in TABLE_2 if row.task == "noun")
    names.pop("Chance")
    tables = [_accuracies(name) for name in names]
    ordered = [t["noun", k] > t["adj", k] > t["anp", k] for t in tables for k in (1, 5)]
    return Found(
        f"noun > adjective > ANP in {sum(ordered)} of {len(ordered)} columns of {len(names)}"
        " networks",
        TRAINING,
        holds=all(ordered),
        proves=False,
    )


@measurement
def more_pairs(_: Context) -> Found:
    """Whether there are more pairs than nouns and adjectives."""
    noun, adj, anp = (paper.TASKS[task] for task in TASKS)
    return Found(f"{anp} > {noun} + {adj}", "section 5.1", holds=anp > noun + adj, proves=False)


@measurement
def almost_half(_: Context) -> Found:
    """How far X_S's ANP accuracy is below its noun accuracy, as a share."""
    top = _accuracies("X_S-ResNet-50")
    share = 1 - top["anp", 1] / top["noun", 1]
    return Found(f"{100 * share:.1f} %", f"1 - 22.89 / 42.18; {TRAINING}", (share,), proves=False)


@measurement
def below(_: Context, lower: str, upper: str) -> Found:
    """Whether a network is below another in every task and column."""
    gains = _gains(upper, lower)
    return Found(
        f"{lower} below {upper} in {sum(g > 0 for g in gains.values())} of {len(gains)} columns",
        f"{TRAINING}; relative: {_text(gains)}",
        holds=all(g > 0 for g in gains.values()),
        proves=False,
    )


@measurement
def standard_errors(_: Context) -> Found:
    """How far X_S is above ResNet-50, in standard errors of their difference."""
    ours, single = _accuracies("X_S-ResNet-50"), _accuracies("ResNet-50")
    ratios = {key: _z(ours[key], single[key]) for key in ours}
    top1 = [ratio for (_task, k), ratio in ratios.items() if k == 1]
    return Found(
        _text(ratios) + " standard errors",
        "as two independent binomials of 77,073 images; one run each",
        holds=min(top1) < 2,
        proves=False,
    )


def _z(first: float, second: float) -> float:
    shares = (first / 100, second / 100)
    return (first - second) / 100 / sqrt(sum(p * (1 - p) for p in shares) / paper.TEST_IMAGES)


# ---- Figure 5's words, and the split ------------------------------------------------------------


@measurement
def same_words(_: Context, *words: str) -> Found:
    """Whether the paper says the same in two places."""
    return Found(
        " against ".join(f"“{word}”" for word in words),
        "a curve sorted by value falls or rises; one by channel does neither",
        holds=len(set(words)) == 1,
        fits="the caption's “sorted”, if curves are smooth; the picture is not in our copy",
    )


@measurement
def magnitudes_or_signs(_: Context) -> Found:
    """Magnitudes cannot be "mostly" non-negative: whether signed weights were plotted."""
    import numpy as np

    drawn = np.random.default_rng(0).standard_normal(2048)
    return Found(
        f"{(np.abs(drawn) >= 0).mean():.0%} of magnitudes are non-negative, whatever the weights",
        "|w| >= 0 for 2,048 random w",
        holds=bool((np.abs(drawn) < 0).any()),
        fits="signed weights were plotted: “unnormalized cross-residual weights”, its caption",
    )


@measurement
def images(_: Context) -> Found:
    """Images in both halves together."""
    total = paper.TRAIN_IMAGES + paper.TEST_IMAGES
    return Found(f"{total:,}", "307,185 + 77,073", (total,), proves=False)


@measurement
def images_a_pair(_: Context) -> Found:
    """Mean number of images a pair: between 500 and 1,000 if all are."""
    total, pairs = paper.TRAIN_IMAGES + paper.TEST_IMAGES, paper.TASKS["anp"]
    mean = total / pairs
    return Found(f"{mean:.1f} on average", f"{total:,} / {pairs}", (mean,), proves=False)


@measurement
def split_sum(_: Context) -> Found:
    """Whether both halves are the whole, and which test batches cover the test set once."""
    factors = _factors(paper.TEST_IMAGES)
    whole = 384_258
    values = (whole - paper.TEST_IMAGES, whole - paper.TRAIN_IMAGES)
    return Found(
        f"{whole:,} less the other half; 77,073 = {' x '.join(f'{f:,}' for f in factors)}",
        "test batches of 3 or 23 cover the test set exactly",
        tuple(map(float, values)),
        holds=prod(factors) == paper.TEST_IMAGES,
        proves=False,
    )


def _factors(number: int) -> list[int]:
    found = []
    for divisor in range(2, number + 1):
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
    return found


@measurement
def split_shares(_: Context) -> Found:
    """Shares of training and test images, in percent."""
    total = paper.TRAIN_IMAGES + paper.TEST_IMAGES
    values = (100 * paper.TRAIN_IMAGES / total, 100 * paper.TEST_IMAGES / total)
    return Found(" / ".join(f"{v:.3f}" for v in values), "307,185 and 77,073", values, proves=False)
