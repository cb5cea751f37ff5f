"""Table 2's numbers of parameters and its chance: what is counted, and what they imply."""

from __future__ import annotations

from netgen import paper
from netgen.audit.measurements.cross_residuals import crosses
from netgen.audit.measurements.measurement import Context, Found, measurement
from netgen.audit.measurements.parsed_networks import TASKS, cost, parameters_of, variant_of
from netgen.caffe.schema import Phase
from netgen.network.variants import find, read_as
from netgen.paper import chance as guessing
from netgen.paper.claims.results import ROWS

Interval = tuple[float, float]
# Parameters of a classifier's output: its inputs and a bias. AlexNet's and VGG's fc7 has 4,096,
# GoogLeNet's pool (and each auxiliary head) 1,024, ResNet-50's pool 2,048.
OUTPUT = {"CaffeNet": 4_097, "Inception-v1": 1_025, "VggNet-16": 4_097, "ResNet-50": 2_049}


PHASES: tuple[Phase, ...] = ("TRAIN", "TEST")  # auxiliary heads are in the first


@measurement
def parameters(_: Context, network: str, task: str) -> Found:
    """Parameters of a network of Table 2, all blobs, in millions."""
    name = variant_of(network, task)
    total = cost(name).parameters
    return Found(f"{total:,}", f"`netgen count --variant {name}`", (total / 1e6,))


@measurement
def chance(_: Context, task: str, k: str) -> Found:
    """Return what guessing would score, in percent."""
    classes, guesses = paper.TASKS[task], int(k)
    value = 100 * guessing.chance(classes, guesses)
    formula = f"1 - (1 - 1/{classes})^{k}" if guesses > 1 else f"1/{classes}"
    beside = f"; {k}/{classes} would be {100 * guesses / classes:.2f}" if guesses > 1 else ""
    neighbour = 100 * guessing.chance(classes - 1, guesses)
    printed = float(ROWS["Chance", task].top1 if guesses == 1 else ROWS["Chance", task].top5)
    return Found(
        f"{value:.4f} %", f"{formula}{beside}", (value,),
        fits=f"{classes - 1} classes: {neighbour:.3f} %, or 0.85 misread"
        if round(neighbour, 2) == printed != round(value, 2)
        else "",
    )  # fmt: skip


def _saved() -> tuple[int, int]:
    """Return the parameters of X_S, and of the three single-task networks together."""
    return cost("xs").parameters, sum(cost(f"resnet50-{task}").parameters for task in TASKS)


@measurement
def parameters_saved(_: Context) -> Found:
    """Share of the single-task networks' parameters that X_S does without, in percent."""
    ours, three = _saved()
    saved = 100 * (1 - ours / three)
    evidence = f"1 - {ours:,} / {three:,}; `netgen count --variant xs`, resnet50-*"
    return Found(f"{saved:.2f} % less", evidence, (saved,))


@measurement
def parameters_kept(_: Context) -> Found:
    """Share of the single-task networks' parameters that X_S needs, in percent."""
    ours, three = _saved()
    return Found(
        f"{100 * ours / three:.2f} %", f"{ours:,} / {three:,}", (100 * ours / three,)
    )  # fmt: skip


@measurement
def total_parameters(_: Context) -> Found:
    """Millions of parameters of X_S, and of the three single-task networks."""
    ours, three = _saved()
    return Found(
        f"{ours:,} and {three:,}", "`netgen count --variant xs`, resnet50-*",
        (ours / 1e6, three / 1e6),
    )  # fmt: skip


@measurement
def marginal_cost(_: Context) -> Found:
    """Parameters that cross weights add to X_0."""
    added = cost("xs").parameters - cost("x0").parameters
    share = 100 * added / cost("x0").parameters
    return Found(
        f"{added:,} parameters, {share:.2f} %", "`netgen count --variant xs`, x0",
        holds=share < 1 and added == len(crosses()) * 2048,
    )  # fmt: skip


@measurement
def cost_of_branching_earlier(_: Context) -> Found:
    """Parameters of X_S with the branch one block earlier."""
    earlier = parameters_of(read_as(find("xs", TASKS), "branch", "before-res5a"))
    ours = cost("xs").parameters
    return Found(
        f"{earlier:,} instead of {ours:,}", "readings, branch",
        holds=earlier > ours,
    )  # fmt: skip


def _slope(network: str) -> Interval:
    """Return how many parameters a class costs in a network's printed rows: least and most."""
    noun, anp = (float(ROWS[network, task].parameters) * 1e6 for task in ("noun", "anp"))
    classes = paper.TASKS["anp"] - paper.TASKS["noun"]
    return ((anp - noun - 1e4) / classes, (anp - noun + 1e4) / classes)


@measurement
def auxiliary_heads(_: Context) -> Found:
    """Heads in Inception-v1's printed counts: what a class costs, in heads of 1,025 a class."""
    least, most = (slope / OUTPUT["Inception-v1"] for slope in _slope("Inception-v1"))
    fitting = [heads for heads in range(1, 10) if least <= heads <= most]
    name = variant_of("Inception-v1", "noun")
    trained, tested = (cost(name, phase).parameters / 1e6 for phase in PHASES)
    return Found(
        f"a class costs {least:.2f} to {most:.2f} heads of 1,025 parameters; noun has"
        f" {trained:.2f} M with auxiliary heads, {tested:.2f} M without",
        "(12.00 - 10.82 million) / (553 - 167), each rounded, in Table 2;"
        f" `netgen count --variant {name}`, --phase train and test",
        holds=fitting == [1],
        proves=False,
        fits="three heads: both auxiliary ones are counted" if fitting == [3] else "",
    )


@measurement
def classifier_widths(_: Context) -> Found:
    """Whether what a class costs in Table 2 fits the other networks' classifiers."""
    slopes = {name: _slope(name) for name in OUTPUT if name != "Inception-v1"}
    return Found(
        "; ".join(f"{n} {low:,.0f} to {high:,.0f} a class" for n, (low, high) in slopes.items()),
        "differences of rows noun and anp; 4,097, 4,097 and 2,049 expected",
        holds=all(low <= OUTPUT[name] <= high for name, (low, high) in slopes.items()),
        proves=False,
    )


@measurement
def deepsentibank_size(_: Context) -> Found:
    """DeepSentiBank's printed count, from CaffeNet's and 2,089 outputs."""
    more = paper.DEEPSENTIBANK_PAIRS - paper.TASKS["anp"]
    base = float(ROWS["CaffeNet", "anp"].parameters) + more * OUTPUT["CaffeNet"] / 1e6
    printed = float(ROWS["DeepSentiBank", "anp"].parameters)
    return Found(
        f"CaffeNet with 2,089 outputs: {base:.3f} M; printed {printed}",
        "59.13 M + (2,089 - 553) x 4,097",
        holds=abs(base - printed) <= 0.01,  # both are rounded to 0.005
        proves=False,
    )
