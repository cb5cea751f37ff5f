"""Numbers of parameters and images: those of Table 2 and section 5, and what they imply."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod, sqrt

from netgen import paper
from netgen.audit.measurements.cross_residuals import crosses
from netgen.audit.measurements.measurement import AuditInputs, Basis, Found, measures
from netgen.audit.measurements.parsed_networks import TASKS, parameters_of, variant_of
from netgen.caffe.schema import Phase
from netgen.network.variants import find, go_beyond, read_as
from netgen.paper.claims import ROWS, Measure
from netgen.paper.implied import Rounding, training_images

# Parameters of a classifier's output: its inputs and a bias. AlexNet's and VGG's fc7 has 4,096,
# GoogLeNet's pool (and each auxiliary head) 1,024, ResNet-50's pool 2,048.
OUTPUT = {"CaffeNet": 4_097, "Inception-v1": 1_025, "VggNet-16": 4_097, "ResNet-50": 2_049}
SAVED = "`netgen count --variant xs`; the same of resnet50-noun, resnet50-adj and resnet50-anp"
MORE = (  # networks with more or fewer cross-residual layers, or an earlier branch
    " --beyond crossed=first-block",
    "",
    " --reading branch=before-res5a --beyond crossed=all-blocks",
    " --reading branch=before-res5a",
    " --beyond branch=after-res4a",
)
PHASES: tuple[Phase, ...] = ("TRAIN", "TEST")  # auxiliary heads are in the first
MARGINAL = 1.0  # percent; a cost below it is called “very marginal”
LEAST_SIGMAS = 3  # by which a rule of rounding is excluded


@measures(Measure.PARAMETERS, Basis.COUNT)
def parameters(inputs: AuditInputs, network: str, task: str) -> Found:
    """Parameters of a network of Table 2, all blobs, in millions."""
    name = variant_of(network, task)
    total = _parameters(inputs, name)
    return Found(f"{total:,}", f"`netgen count --variant {name}`", (total / 1e6,))


def _parameters(inputs: AuditInputs, variant: str, phase: Phase = "TRAIN") -> int:
    return inputs.network(variant).cost(phase).parameters


def _saved(inputs: AuditInputs) -> tuple[int, int]:
    """Return the parameters of X_S, and of the three single-task networks together."""
    three = sum(_parameters(inputs, f"resnet50-{task}") for task in TASKS)
    return _parameters(inputs, "xs"), three


@measures(Measure.PARAMETERS_SAVED, Basis.COUNT)
def parameters_saved(inputs: AuditInputs) -> Found:
    """Share of the single-task networks' parameters that X_S saves, in percent."""
    ours, three = _saved(inputs)
    saved = 100 * (1 - ours / three)
    evidence = f"1 - {ours:,} / {three:,}; {SAVED}"
    return Found(f"{saved:.2f} % less", evidence, (saved,))


@measures(Measure.PARAMETERS_KEPT, Basis.COUNT)
def parameters_kept(inputs: AuditInputs) -> Found:
    """Share of the single-task networks' parameters that X_S needs, in percent."""
    ours, three = _saved(inputs)
    kept = 100 * ours / three
    return Found(f"{kept:.2f} %", f"{ours:,} / {three:,}", (kept,))


@measures(Measure.TOTAL_PARAMETERS, Basis.COUNT)
def total_parameters(inputs: AuditInputs) -> Found:
    """Millions of parameters of X_S, and of the three single-task networks."""
    ours, three = _saved(inputs)
    millions = (ours / 1e6, three / 1e6)
    return Found(f"{ours:,} and {three:,}", SAVED, millions)


@measures(Measure.MARGINAL_COST, Basis.ALLOWED)  # the threshold is ours
def marginal_cost(inputs: AuditInputs) -> Found:
    """Parameters that cross weights add to X_0."""
    base = _parameters(inputs, "x0")
    added = _parameters(inputs, "xs") - base
    share = 100 * added / base
    weights = len(crosses(inputs.network("xs")))
    return Found(
        f"{added:,} parameters, {share:.2f} % of X_0's {base:,}",
        "`netgen count --variant xs`, `netgen count --variant x0`; tested: below"
        f" {MARGINAL:g} %, our bound, since none is printed",
        holds=share < MARGINAL and added == weights * paper.CROSS_CHANNELS,
    )


@measures(Measure.COST_OF_MORE, Basis.ALLOWED)  # which networks have "more" is our reading
def cost_of_more(inputs: AuditInputs) -> Found:
    """Parameters of X_S with more cross-residual layers, and with the branch earlier."""
    xs, ours = find("xs", TASKS), _parameters(inputs, "xs")
    unshared = read_as(xs, "branch", "before-res5a")
    one = parameters_of(go_beyond(xs, "crossed", "first-block"))
    three = parameters_of(go_beyond(unshared, "crossed", "all-blocks"))
    earlier = parameters_of(unshared)
    earliest = parameters_of(go_beyond(xs, "branch", "after-res4a"))
    return Found(
        f"cross-residual layers: {one:,} with one, {ours:,} with our two, {three:,} with three;"
        f" branch: {earlier:,} before res5a, {earliest:,} after res4a",
        f"{'; '.join(f'`netgen count --variant xs{how}`' for how in MORE)}; a third layer crosses"
        " res5a, which must then be branched too",
        holds=one < ours < earlier < three and ours < earliest,
    )


def _slope(network: str) -> tuple[float, float]:
    """Return how many parameters a class costs in a network's printed rows: least and most."""
    noun, anp = (float(ROWS[network, task].parameters) * 1e6 for task in ("noun", "anp"))
    classes = paper.TASKS["anp"] - paper.TASKS["noun"]
    return ((anp - noun - 1e4) / classes, (anp - noun + 1e4) / classes)


@measures(Measure.AUXILIARY_HEADS, Basis.ALLOWED)
def auxiliary_heads(inputs: AuditInputs) -> Found:
    """Heads in Inception-v1's printed counts: what a class costs, in parameters of one output."""
    head = OUTPUT["Inception-v1"]
    least, most = (slope / head for slope in _slope("Inception-v1"))
    fitting = [heads for heads in range(1, 10) if least <= heads <= most]
    name, classes = variant_of("Inception-v1", "noun"), paper.TASKS
    noun, anp = (ROWS["Inception-v1", task].parameters for task in ("noun", "anp"))
    trained, tested = (_parameters(inputs, name, phase) / 1e6 for phase in PHASES)
    return Found(
        f"a class costs {least:.2f} to {most:.2f} heads of {head:,} parameters; noun has"
        f" {trained:.2f} M with auxiliary heads, {tested:.2f} M without",
        f"({anp} - {noun} million) / ({classes['anp']} - {classes['noun']}), each rounded, in"
        " Table 2;"
        f" `netgen count --variant {name} --phase train`, and `netgen count --variant {name}"
        " --phase test`",
        holds=fitting == [1],
        fits="three heads: both auxiliary ones are counted" if fitting == [3] else "",
    )


@measures(Measure.CLASSIFIER_WIDTHS, Basis.ALLOWED)
def classifier_widths(_: AuditInputs) -> Found:
    """Whether what a class costs in Table 2 fits the other networks' classifiers."""
    slopes = {name: _slope(name) for name in OUTPUT if name != "Inception-v1"}
    expected = [f"{OUTPUT[name]:,}" for name in slopes]
    return Found(
        "; ".join(f"{n} {low:,.0f} to {high:,.0f} per class" for n, (low, high) in slopes.items()),
        f"differences of rows noun and anp; {', '.join(expected[:-1])} and {expected[-1]} expected",
        holds=all(low <= OUTPUT[name] <= high for name, (low, high) in slopes.items()),
    )


@measures(Measure.DEEPSENTIBANK_SIZE, Basis.ALLOWED)
def deepsentibank_size(_: AuditInputs) -> Found:
    """DeepSentiBank's printed count, from CaffeNet's and 2,089 outputs."""
    all_pairs, pairs = paper.DEEPSENTIBANK_PAIRS, paper.TASKS["anp"]
    smaller, each = ROWS["CaffeNet", "anp"].parameters, OUTPUT["CaffeNet"]
    base = float(smaller) + (all_pairs - pairs) * each / 1e6
    printed = float(ROWS["DeepSentiBank", "anp"].parameters)
    return Found(
        f"CaffeNet with {all_pairs:,} outputs: {base:.3f} M; printed {printed}",
        f"{smaller} M + ({all_pairs:,} - {pairs}) x {each:,}",
        holds=abs(base - printed) <= 0.01,  # both are rounded to 0.005
    )


# ---- images, and their split -------------------------------------------------------------------


@measures(Measure.IMAGES, Basis.ARITHMETIC)
def images(_: AuditInputs) -> Found:
    """Images in both halves together."""
    total = paper.TRAIN_IMAGES + paper.TEST_IMAGES
    evidence = f"{paper.TRAIN_IMAGES:,} + {paper.TEST_IMAGES:,}"
    return Found(f"{total:,}", evidence, (total,))


@measures(Measure.IMAGES_PER_PAIR, Basis.ALLOWED)
def images_a_pair(_: AuditInputs) -> Found:
    """Mean number of images per pair: between 500 and 1,000 if all are."""
    total, pairs = paper.TRAIN_IMAGES + paper.TEST_IMAGES, paper.TASKS["anp"]
    mean = total / pairs
    return Found(f"{mean:.1f} on average", f"{total:,} / {pairs}", (mean,))


@measures(Measure.SPLIT_SUM, Basis.ARITHMETIC)
def split_sum(_: AuditInputs) -> Found:
    """Whether both halves are the whole, and which test batches cover the test set once."""
    factors = _factors(paper.TEST_IMAGES)
    whole, test = paper.ALL_IMAGES, paper.TEST_IMAGES
    values = (whole - test, whole - paper.TRAIN_IMAGES)
    return Found(
        f"{whole:,} less the other half; {test:,} = {' x '.join(f'{f:,}' for f in factors)}",
        "test batches of 3 or 23 cover the test set exactly",
        tuple(map(float, values)),
        holds=prod(factors) == paper.TEST_IMAGES,
    )


def _factors(number: int) -> list[int]:
    found = []
    for divisor in range(2, number + 1):
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
    return found


@measures(Measure.SPLIT_SHARES, Basis.ARITHMETIC)
def split_shares(_: AuditInputs) -> Found:
    """Shares of training and test images, in percent."""
    total = paper.TRAIN_IMAGES + paper.TEST_IMAGES
    values = (100 * paper.TRAIN_IMAGES / total, 100 * paper.TEST_IMAGES / total)
    shown = " / ".join(f"{value:.3f}" for value in values)
    evidence = f"{paper.TRAIN_IMAGES:,} and {paper.TEST_IMAGES:,}"
    return Found(shown, evidence, values)


@dataclass(frozen=True)
class Expectation:
    """The test images beyond 20% that a rule of rounding expects, and their standard deviation.

    A pair's n mod 5 is taken to be uniform, pairs to be independent.
    """

    rule: Rounding
    expected: float
    deviation: float

    @property
    def name(self) -> str:
        """The rule's name in prose."""
        return self.rule.name.lower()

    @property
    def sigmas(self) -> float:
        """How far the printed excess is from the expected one, in standard deviations."""
        return abs(printed_excess() - self.expected) / self.deviation


def printed_excess() -> float:
    """Return how many test images are printed beyond 20% of all."""
    return paper.TEST_IMAGES - (paper.TRAIN_IMAGES + paper.TEST_IMAGES) / 5


def roundings() -> tuple[Expectation, ...]:
    """Return what each rule expects of 553 pairs."""
    return tuple(map(_expectation, Rounding))


def _expectation(rule: Rounding) -> Expectation:
    excess = [4 * n / 5 - rule.of(n) for n in range(5)]
    mean = sum(excess) / 5
    variance = sum((one - mean) ** 2 for one in excess) / 5
    pairs = paper.TASKS["anp"]
    return Expectation(rule, pairs * mean, sqrt(pairs * variance))


def fitting_roundings() -> tuple[Expectation, ...]:
    """Return the rules within three standard deviations of the printed totals."""
    return tuple(one for one in roundings() if one.sigmas < LEAST_SIGMAS)


@measures(Measure.SPLIT_RULE, Basis.ALLOWED)
def split_rule(_: AuditInputs) -> Found:
    """Whether the one rule that fits the printed totals is the one by which images are split."""
    fitting = [one.rule for one in fitting_roundings()]
    sizes = range(paper.LEAST_IMAGES, paper.MOST_IMAGES + 1)
    return Found(
        "; ".join(
            f"{r.name} expects {r.expected:.1f} ± {r.deviation:.1f} ({r.sigmas:.1f} sigma)"
            for r in roundings()
        ),
        f"{printed_excess():.1f} test images beyond 20% are printed; pairs taken as independent",
        holds=len(fitting) == 1 and all(fitting[0].of(n) == training_images(n) for n in sizes),
    )
