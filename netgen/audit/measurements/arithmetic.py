"""Arithmetic on printed accuracies; equations (3) and (4) in NumPy; Figure 5's words."""

from __future__ import annotations

from math import sqrt

from netgen import paper
from netgen.audit.measurements.measurement import AuditInputs, Found, measures
from netgen.paper import TABLE_2, implied
from netgen.paper.claims import ROWS, Measure

TRAINING = "Table 2's accuracies, which need training"


@measures(Measure.CHANCE)
def chance(_: AuditInputs, task: str, k: str) -> Found:
    """Return what guessing would score, in percent."""
    classes, guesses = paper.TASKS[task], int(k)
    value = 100 * implied.chance(classes, guesses)
    formula = f"1 - (1 - 1/{classes})^{k}" if guesses > 1 else f"1/{classes}"
    beside = f"; {k}/{classes} would be {100 * guesses / classes:.2f}" if guesses > 1 else ""
    neighbour = 100 * implied.chance(classes - 1, guesses)
    printed = float(ROWS["Chance", task].top1 if guesses == 1 else ROWS["Chance", task].top5)
    return Found(
        f"{value:.4f} %", f"{formula}{beside}", (value,),
        fits=f"{classes - 1} classes: {neighbour:.3f} %, or 0.85 misread"
        if round(neighbour, 2) == printed != round(value, 2)
        else "",
    )  # fmt: skip


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


@measures(Measure.GAIN)
def gain(_: AuditInputs, better: str, worse: str, task: str) -> Found:
    """Relative gain in top-1 accuracy, in percent; of the other tasks too."""
    gains = _gains(better, worse)
    evidence = f"{_top1(better, task)} / {_top1(worse, task)} - 1; {TRAINING}; {_text(gains)}"
    return Found(f"{gains[task, 1]:.3f} %", evidence, (gains[task, 1],), proves=False)


@measures(Measure.DROP)
def drop(_: AuditInputs, worse: str, better: str, task: str) -> Found:
    """Relative loss in top-1 accuracy, in percent."""
    losses = {key: -value for key, value in _gains(worse, better).items()}
    evidence = f"1 - {_top1(worse, task)} / {_top1(better, task)}; {TRAINING}; {_text(losses)}"
    return Found(f"{losses[task, 1]:.3f} %", evidence, (losses[task, 1],), proves=False)


@measures(Measure.LARGEST_GAIN)
def largest_gain(_: AuditInputs) -> Found:
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


@measures(Measure.ORDER_OF_TASKS)
def order_of_tasks(_: AuditInputs) -> Found:
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


@measures(Measure.MORE_PAIRS)
def more_pairs(_: AuditInputs) -> Found:
    """Whether there are more pairs than nouns and adjectives."""
    noun, adj, anp = paper.TASKS.values()
    return Found(f"{anp} > {noun} + {adj}", "section 5.1", holds=anp > noun + adj, proves=False)


@measures(Measure.ALMOST_HALF)
def almost_half(_: AuditInputs) -> Found:
    """How far X_S's ANP accuracy is below its noun accuracy, as a share."""
    top = _accuracies("X_S-ResNet-50")
    anp, noun = top["anp", 1], top["noun", 1]
    share = 1 - anp / noun
    return Found(f"{100 * share:.1f} %", f"1 - {anp} / {noun}; {TRAINING}", (share,), proves=False)


@measures(Measure.BELOW)
def below(_: AuditInputs, lower: str, upper: str) -> Found:
    """Whether a network is below another in every task and column."""
    gains = _gains(upper, lower)
    return Found(
        f"{lower} below {upper} in {sum(g > 0 for g in gains.values())} of {len(gains)} columns",
        f"{TRAINING}; relative: {_text(gains)}",
        holds=all(g > 0 for g in gains.values()),
        proves=False,
    )


@measures(Measure.STANDARD_ERRORS)
def standard_errors(_: AuditInputs) -> Found:
    """How far X_S is above ResNet-50, in standard errors of their difference."""
    ours, single = _accuracies("X_S-ResNet-50"), _accuracies("ResNet-50")
    ratios = {key: _z(ours[key], single[key]) for key in ours}
    top1 = [ratio for (_task, k), ratio in ratios.items() if k == 1]
    return Found(
        _text(ratios) + " standard errors",
        f"as two independent binomials of {paper.TEST_IMAGES:,} images; one run each",
        holds=min(top1) < 2,
        proves=False,
    )


def _z(first: float, second: float) -> float:
    shares = (first / 100, second / 100)
    return (first - second) / 100 / sqrt(sum(p * (1 - p) for p in shares) / paper.TEST_IMAGES)


# ---- Figure 5's words ---------------------------------------------------------------------------


@measures(Measure.SAME_WORDS)
def same_words(_: AuditInputs, *words: str) -> Found:
    """Whether the paper says the same in two places."""
    return Found(
        " against ".join(f"“{word}”" for word in words),
        "a curve sorted by value falls or rises; one by channel does neither",
        holds=len(set(words)) == 1,
        fits="the caption's “sorted”, if curves are smooth; the picture is not in our copy",
    )


@measures(Measure.MAGNITUDES_OR_SIGNS)
def magnitudes_or_signs(_: AuditInputs) -> Found:
    """Magnitudes cannot be "mostly" non-negative: whether signed weights were plotted."""
    import numpy as np

    drawn = np.random.default_rng(0).standard_normal(paper.CROSS_CHANNELS)
    return Found(
        f"{(np.abs(drawn) >= 0).mean():.0%} of magnitudes are non-negative, whatever the weights",
        f"|w| >= 0 for {paper.CROSS_CHANNELS:,} random w",
        holds=bool((np.abs(drawn) < 0).any()),
        fits="signed weights were plotted: “unnormalized cross-residual weights”, its caption",
    )


# ---- Equations (3) and (4) in NumPy: what is left of a highway and of an LSTM without gates -----

WIDTH, EXAMPLES = 16, 1000


@measures(Measure.HIGHWAY)
def highway(_: AuditInputs) -> Found:
    """Equation (3), y = H(x) T(x) + x C(x), with T = C = 1, less H(x) + x: equation (1)."""
    import numpy as np

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((EXAMPLES, WIDTH)), rng.standard_normal((WIDTH, WIDTH))
    h = np.maximum(x @ w, 0)
    gates = np.ones_like(x)
    difference = np.abs((h * gates + x * gates) - (h + x)).max()
    return Found(
        f"differs from equation (1) by {difference:g}", "NumPy, 1,000 random x, both gates 1",
        holds=bool(difference == 0),
    )  # fmt: skip


@measures(Measure.LSTM)
def lstm(_: AuditInputs) -> Found:
    """Equation (4) with i = f = o = 1, no h(k-1) and c(k-1) = x, less a residual layer."""
    import numpy as np

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((EXAMPLES, WIDTH)), rng.standard_normal((WIDTH, WIDTH))
    residual = np.tanh(x @ w)
    cell = 1.0 * x + 1.0 * residual
    hidden = 1.0 * np.tanh(cell)
    output, state = (np.abs(blob - (residual + x)).max() for blob in (hidden, cell))
    return Found(
        f"output h differs from tanh(.) + x by up to {output:.2f}, cell c by {state:g}",
        "NumPy, 1,000 random x",
        holds=bool(output == 0),
        fits="the cell state c is one; h is only up to the outer tanh" if state == 0 else "",
    )
