"""Arithmetic on printed accuracies and counts: gains, losses, orders, chance."""

from __future__ import annotations

from netgen import paper
from netgen.audit.measurements.measurement import AuditInputs, Basis, Found, measures
from netgen.paper import implied
from netgen.paper.claims import ROWS, Measure

TRAINING = "Table 2's accuracies, which need training"
Column = tuple[str, int]  # of accuracies: a task, and k of top-k


@measures(Measure.CHANCE, Basis.ARITHMETIC)
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


@measures(Measure.MORE_PAIRS, Basis.ARITHMETIC)
def more_pairs(_: AuditInputs) -> Found:
    """Whether there are more pairs than nouns and adjectives."""
    noun, adj, anp = paper.TASKS.values()
    return Found(f"{anp} against {noun} + {adj}", "section 5.1", holds=anp > noun + adj)


# ---- accuracies: what is relative to what -------------------------------------------------------


def _accuracies(network: str) -> dict[Column, float]:
    """Return a network's printed accuracies, task and k to percent."""
    rows = [row for (name, _), row in ROWS.items() if name == network]
    return {(r.task, k): float(t) for r in rows for k, t in ((1, r.top1), (5, r.top5))}


def _gains(better: str, worse: str) -> dict[Column, float]:
    """Return gains in percent of the worse network's accuracies."""
    base = _accuracies(worse)
    return {key: 100 * (top / base[key] - 1) for key, top in _accuracies(better).items()}


def _losses(worse: str, better: str) -> dict[Column, float]:
    """Return losses in percent of the better network's accuracies."""
    return {key: -share for key, share in _gains(worse, better).items()}


def _text(shares: dict[Column, float]) -> str:
    return ", ".join(f"{task} top-{k} {share:.2f}" for (task, k), share in shares.items())


@measures(Measure.GAIN, Basis.RESULTS)
def gain(_: AuditInputs, better: str, worse: str, task: str) -> Found:
    """Gain in top-1 accuracy, in percent of the worse network's."""
    gains, key = _gains(better, worse), (task, 1)
    high, low = ROWS[better, task].top1, ROWS[worse, task].top1
    return Found(
        f"{gains[key]:+.3f} % of {worse}'s {low}",
        f"{high} / {low} - 1: relative to the worse network (to the better one,"
        f" {-_losses(worse, better)[key]:+.3f} %); {TRAINING}; {_text(gains)}",
        (gains[key],),
    )


@measures(Measure.DROP, Basis.RESULTS)
def drop(_: AuditInputs, worse: str, better: str, task: str) -> Found:
    """Loss in top-1 accuracy, in percent of the better network's."""
    losses, key = _losses(worse, better), (task, 1)
    high, low = ROWS[better, task].top1, ROWS[worse, task].top1
    return Found(
        f"{-losses[key]:+.3f} % of {better}'s {high}",
        f"1 - {low} / {high}: relative to the better network (to the worse one,"
        f" {_gains(better, worse)[key]:+.3f} %); {TRAINING}; {_text(losses)}",
        (losses[key],),
    )


@measures(Measure.BELOW, Basis.RESULTS)
def below(_: AuditInputs, lower: str, upper: str) -> Found:
    """Whether a network is below another in every task and column."""
    losses = _losses(lower, upper)
    return _in_every_column(f"{lower} below {upper}", losses, f"losses in % of {upper}'s")


@measures(Measure.ABOVE, Basis.RESULTS)
def above(_: AuditInputs, upper: str, lower: str) -> Found:
    """Whether a network is above another in every task and column."""
    gains = _gains(upper, lower)
    return _in_every_column(f"{upper} above {lower}", gains, f"gains in % of {lower}'s")


def _in_every_column(what: str, shares: dict[Column, float], relative: str) -> Found:
    met = sum(share > 0 for share in shares.values())
    return Found(
        f"{what} in {met} of {len(shares)} columns",
        f"{TRAINING}; {relative}: {_text(shares)}",
        holds=met == len(shares),
    )


# ---- accuracies: tasks compared -----------------------------------------------------------------


@measures(Measure.LARGEST_GAIN, Basis.RESULTS)
def largest_gain(_: AuditInputs) -> Found:
    """Whether the task that gains most from cross-residuals is ANP detection, and is hardest."""
    gains = _top1(_gains("X_S-ResNet-50", "X_0-ResNet-50"))
    scores = _top1(_accuracies("X_S-ResNet-50"))
    return Found(
        ", ".join(f"{task} {value:+.2f} %" for task, value in gains.items()),
        f"X_S over X_0, top-1, in % of X_0's; hardest by X_S's top-1, {_scores(scores)}:"
        f" {TRAINING}",
        (len(gains),),
        holds=max(gains, key=gains.__getitem__) == min(scores, key=scores.__getitem__) == "anp",
    )


@measures(Measure.LOWEST_ACCURACY, Basis.RESULTS)
def lowest_accuracy(_: AuditInputs) -> Found:
    """Whether X_S's top-1 accuracy is lowest on ANP detection."""
    scores = _top1(_accuracies("X_S-ResNet-50"))
    return Found(
        _scores(scores),
        f"X_S's top-1: the hardest is the lowest; {TRAINING}",
        (len(scores),),
        holds=min(scores, key=scores.__getitem__) == "anp",
    )


def _top1(shares: dict[Column, float]) -> dict[str, float]:
    return {task: share for (task, k), share in shares.items() if k == 1}


def _scores(scores: dict[str, float]) -> str:
    return ", ".join(f"{task} {score:.2f} %" for task, score in scores.items())


def _of_all_tasks() -> list[dict[Column, float]]:
    """Return the accuracies of each network that has all three tasks."""
    names = dict.fromkeys(name for name, task in ROWS if task == "noun" and name != "Chance")
    return [_accuracies(name) for name in names]


@measures(Measure.ORDER_OF_TASKS, Basis.RESULTS)
def order_of_tasks(_: AuditInputs) -> Found:
    """Whether nouns score above adjectives in every network with all three tasks."""
    tables = _of_all_tasks()
    met = [t["noun", k] > t["adj", k] for t in tables for k in (1, 5)]
    return Found(
        f"noun above adjective in {sum(met)} of {len(met)} columns of {len(tables)} networks",
        TRAINING,
        holds=all(met),
    )


@measures(Measure.EXPECTED_ORDER, Basis.RESULTS)
def expected_order(_: AuditInputs) -> Found:
    """Whether pairs miss what the authors expected of them: not to be below adjectives."""
    tables = _of_all_tasks()
    met = [t["anp", k] < t["adj", k] for t in tables for k in (1, 5)]
    return Found(
        f"what was expected is not what Table 2 has: ANP is below adjective in {sum(met)} of"
        f" {len(met)} columns of {len(tables)} networks",
        f"the sentence says so too (“than we did”); {TRAINING}",
        holds=all(met),
    )


@measures(Measure.ALMOST_HALF, Basis.RESULTS)
def almost_half(_: AuditInputs) -> Found:
    """How far X_S's ANP accuracy is below its noun accuracy, as a share."""
    top = _accuracies("X_S-ResNet-50")
    anp, noun = top["anp", 1], top["noun", 1]
    share = 1 - anp / noun
    evidence = f"1 - {anp} / {noun}, X_S's; {TRAINING}"
    return Found(f"{100 * share:.1f} % of the noun accuracy", evidence, (share,))
