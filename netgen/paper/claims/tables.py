"""Tables 1 and 2, cell by cell, and what the paper concludes from Table 2 and Figure 5."""

from __future__ import annotations

from collections.abc import Iterator

from netgen.paper.claims.claim import Claim, Measure, Relation
from netgen.paper.printed import TABLE_2

ROWS = {(row.network, row.task): row for row in TABLE_2}


def table_2() -> Iterator[Claim]:
    """Yield a claim for every number in Table 2."""
    for row in TABLE_2:
        place = f"Table 2, {row.network}, {row.task}"
        name = f"{row.slug}-{row.task}"
        of = (row.network, row.task)
        if row.network == "Chance":
            glyph = row.top1 == "0.86"
            yield Claim(
                f"{name}-top1", place, row.quote, (row.top1,), Measure.CHANCE, (row.task, "1"),
                one_glyph=glyph,
            )  # fmt: skip
            yield Claim(
                f"{name}-top5", place, row.quote, (row.top5,), Measure.CHANCE, (row.task, "5")
            )
            continue
        if row.parameters:
            yield Claim(
                f"{row.variant}-params", place, row.quote, (row.parameters,), Measure.PARAMETERS, of
            )
        yield Claim(f"{name}-top1", place, row.quote, (row.top1,), Measure.ACCURACY, (*of, "1"))
        yield Claim(f"{name}-top5", place, row.quote, (row.top5,), Measure.ACCURACY, (*of, "5"))


# Table 1: output size, and the layers that make it. The last stage is drawn once per task.
LAST = r"\begin{bmatrix} 1 \times 1, 512 \\ 3 \times 3, 512 \\ 1 \times 1, 2048 \end{bmatrix}"
# fmt: off
TABLE_1 = (
    Claim("table1-conv1", "Table 1, row 1", "112×112 7 × 7, 60 /2",
          ("112×112", "7 × 7", "/2"), Measure.STEM, ("conv1",)),
    Claim("table1-conv1-filters", "Table 1, row 1", "7 × 7, 60 /2",
          ("60",), Measure.CONV1_FILTERS, one_glyph=True),
    Claim("table1-pool1", "Table 1, row 2", "56 × 56 3 × 3 max pool /2",
          ("56 × 56", "3 × 3", "/2"), Measure.STEM, ("pool1",)),
    Claim("table1-res2", "Table 1, row 3", "56 × 56 1 × 1, 64 3 × 3, 64 1 × 1, 256 ×3",
          ("56 × 56", "1 × 1, 64", "3 × 3, 64", "1 × 1, 256", "×3"), Measure.STAGE, ("2",)),
    Claim("table1-res3", "Table 1, row 4", "28 × 28 1 × 1, 128 3 × 3, 128 1 × 1, 512 ×4",
          ("28 × 28", "1 × 1, 128", "3 × 3, 128", "1 × 1, 512", "×4"), Measure.STAGE, ("3",)),
    Claim("table1-res4", "Table 1, row 5", "14 × 14 1 × 1, 256 3 × 3, 256 1 × 1, 1024 ×6",
          ("14 × 14", "1 × 1, 256", "3 × 3, 256", "1 × 1, 1024", "×6"), Measure.STAGE, ("4",)),
    Claim("table1-res5", "Table 1, row 6", f"7 × 7 ${LAST}$",
          ("7 × 7", "1 × 1, 512", "3 × 3, 512", "1 × 1, 2048"), Measure.STAGE_SHAPE, ("5",),
          again=(f"${LAST}$",)),
    Claim("table1-res5-blocks", "Table 1, row 6", f"${LAST}$ ×3", ("×3",), Measure.OWN_BLOCKS),
    Claim("table1-pool5", "Table 1, row 7", "1 × 1 avg pool avg pool avg pool",
          ("1 × 1",), Measure.POOL5),
    Claim("table1-heads", "Table 1, row 8", "117-d fc 553-d fc 167-d fc",
          ("117-d", "553-d", "167-d"), Measure.HEADS, ("adj", "anp", "noun")),
    Claim("table1-softmax", "Table 1, row 9", "softmax softmax softmax", (), Measure.SOFTMAXES),
    Claim("table1-layers", "Table 1 and Figure 4, captions",
          "Multitask Residual Network with 50 layers", ("50",), Measure.WEIGHT_LAYERS,
          again=("we show 50-layer multitask residual networks",
                 "single-task residual networks, respectively, with 50 layers",
                 "residual network with 50-layers (ResNet-50) as the basis",
                 "ResNet architecture with 50-layers (ResNet-50)")),
    Claim("table1-downsampling", "Table 1, caption",
          "Downsampling is performed by stride 2 after stacked residual blocks",
          ("2",), Measure.DOWNSAMPLING),
)
# fmt: on


# ---- what the paper concludes from Table 2 and Figure 5 -----------------------------------------

# fmt: off
RESULTS = (
    Claim("fewer-parameters", "Abstract; section 6",
          r"a single multitask cross-residual network with $>40\%$ less parameters", (">40%",),
          Measure.PARAMETERS_SAVED, relation=Relation.ABOVE,
          again=("specialized single-task networks but with >40% less parameters",)),
    Claim("less-memory", "Section 1, contributions",
          "uses >40% less model memory via branching", (">40%",), Measure.PARAMETERS_SAVED,
          relation=Relation.ABOVE),
    Claim("less-than-60", "Section 5.2.2",
          "requiring less than 60% of the combined parameters of the three single-task networks",
          ("60%",), Measure.PARAMETERS_KEPT, relation=Relation.BELOW),
    Claim("three-networks", "Section 5.2.2",
          "comparable performance to the three specialized single-task networks", ("three",),
          Measure.TASKS,
          again=("of the combined parameters of the three single-task networks",)),
    Claim("total-parameters", "Section 5.2.2",
          r"$\sim 43.2\text{M}$ vs. $\sim 72.4\text{M}$", ("~43.2M", "~72.4M"),
          Measure.TOTAL_PARAMETERS),
    Claim("marginal-cost", "Section 5.2.2", "at a very marginal parameter cost", (),
          Measure.MARGINAL_COST),
    Claim("gain-rounded", "Abstract; sections 1 and 6",
          "by about 10.4% over a standard multitask residual network", ("10.4%",), Measure.GAIN,
          ("X_S-ResNet-50", "X_0-ResNet-50", "anp"),
          again=("standard multitask configuration without cross-residuals by about 10.4%",
                 "by about 10.4% relative on adjective-noun pair detection")),
    Claim("gain", "Section 5.2.2",
          r"by as much as $\sim 10.37\%$ relative on the ANP detection task", ("~10.37%",),
          Measure.GAIN,
          ("X_S-ResNet-50", "X_0-ResNet-50", "anp")),
    Claim("gain-largest", "Section 5.2.2",
          "the highest gain from using cross-residuals was on the most difficult of the three"
          " tasks: ANP detection", ("three",), Measure.LARGEST_GAIN),
    Claim("drop", "Section 5.2.2", r"$\sim 9\%$ worse relative on ANP detection", ("~9%",),
          Measure.DROP,
          ("X_0-ResNet-50", "ResNet-50", "anp")),
    Claim("drop-again", "Section 6", "we observed a ~9% drop in accuracy on ANP detection",
          ("~9%",), Measure.DROP, ("X_0-ResNet-50", "X_S-ResNet-50", "anp")),
    Claim("hardest", "Section 6", "the hardest of the three related target tasks", ("three",),
          Measure.LOWEST_ACCURACY),
    Claim("order-of-tasks", "Section 5.2.1",
          "noun prediction is indeed “easier” as visual recognition task than adjective prediction",
          (), Measure.ORDER_OF_TASKS),
    Claim("anp-below-adjective", "Section 5.2.1",
          "we still did expect to observe higher accuracy rates for ANP concept detection than we"
          " did, expecting that the rates would be much closer to that of noun detection and not"
          " lower than adjective detection", (), Measure.EXPECTED_ORDER),
    Claim("more-anps", "Section 5.2.1",
          "there are indeed more ANP classes than nouns and adjectives", (), Measure.MORE_PAIRS),
    Claim("almost-half", "Section 5.2.1",
          "this difference by almost a half at top-1 between noun and ANP detection", ("half",),
          Measure.ALMOST_HALF),
    Claim("x0-sums", "Section 5.2.2",
          r"making the cross-residual weights zero where $\mathbf{W}_s^{(j)} = \mathbf{0}, \forall"
          r" j \neq t$, i.e. equivalent to a multitask network without cross-residuals",
          ("zero", "0"), Measure.NO_CONTRIBUTIONS),
    Claim("x1-sums", "Section 5.2.2, where X_1 is printed X_I",
          "with all identity cross-residual weights", (), Measure.CROSS_SUMS, ("x1",)),
    Claim("x1-drops", "Section 5.2.2",
          "the accuracy of the multitask network across all tasks drastically reduces", (),
          Measure.BELOW,
          ("X_1-ResNet-50", "X_0-ResNet-50")),
    Claim("x0-below-single", "Section 5.2.2",
          "consistently achieves lower accuracy across all tasks compared to its single-task"
          " equivalents", (), Measure.BELOW, ("X_0-ResNet-50", "ResNet-50")),
    Claim("xs-above-x0", "Section 5.2.2",
          "outperforming both the case when no cross-residuals are used", (), Measure.ABOVE,
          ("X_S-ResNet-50", "X_0-ResNet-50")),
    Claim("xs-above-x1", "Section 5.2.2", "as well as equally weighted cross-residuals", (),
          Measure.ABOVE, ("X_S-ResNet-50", "X_1-ResNet-50")),
    Claim("xs-above-single", "Section 5.2.2",
          "we observed marginally better concept detection rates with our network across all tasks",
          (), Measure.ABOVE, ("X_S-ResNet-50", "ResNet-50")),
    Claim("cross-layers", "Section 5.2.2; Figure 5",
          "we only used two cross-residual layers in our multitask network", ("two",),
          Measure.CROSS_LAYERS,
          again=("two cross-residual layers in a network structured as in Figure 4 (center)",)),
    Claim("cost-of-more", "Section 5.2.2", "would naturally come at increased parameter cost",
          (), Measure.COST_OF_MORE),
    Claim("figure-5-curves", "Figure 5",
          "Left and right plots show cross-residual weights of the first and second"
          " (feed-forward direction) cross-residual layers", (), Measure.CROSS_CONNECTIONS),
    Claim("figure-5-legend", "Figure 5",
          "cross-residual connections as SourceTask-TargetTask", (), Measure.CROSS_PAIRS),
    Claim("figure-5-signs", "Section 5.2.2", "mostly non-negative cross-task weights were learned",
          (), Measure.LEARNED_WEIGHTS),
    Claim("figure-5-small", "Section 5.2.2", "though the weight magnitudes are indeed small",
          (), Measure.LEARNED_WEIGHTS),
    Claim("figure-5-plateau", "Section 5.2.2",
          "optimal weightings for cross-residual connections are unlikely to be zero or identity",
          ("zero",), Measure.LEARNED_WEIGHTS,
          again=("If an all zero or identity cross-residual connection were to be optimal, we would"
                 " expect to see a plateau with many weights near zero or one",)),
)
# fmt: on
