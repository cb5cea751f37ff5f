"""Tables 1 and 2, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator

from netgen.claims.model import Claim
from netgen.paper import TABLE_2

ROWS = {(row.network, row.task): row for row in TABLE_2}


def table_2() -> Iterator[Claim]:
    """Make a claim of every number in Table 2."""
    for row in TABLE_2:
        place = f"Table 2, {row.network}, {row.task}"
        name = f"{row.slug}-{row.task}"
        of = (row.network, row.task)
        if row.network == "Chance":
            glyph = row.top1 == "0.86"
            yield Claim(
                f"{name}-top1", place, row.quote, (row.top1,), "chance", (row.task, "1"),
                one_glyph=glyph,
            )  # fmt: skip
            yield Claim(f"{name}-top5", place, row.quote, (row.top5,), "chance", (row.task, "5"))
            continue
        if row.parameters:
            yield Claim(
                f"{row.variant}-params", place, row.quote, (row.parameters,), "parameters", of
            )
        yield Claim(f"{name}-top1", place, row.quote, (row.top1,), "accuracy", (*of, "1"))
        yield Claim(f"{name}-top5", place, row.quote, (row.top5,), "accuracy", (*of, "5"))


# Table 1: output size, and what makes it. The last stage is drawn once a task.
LAST = r"\begin{bmatrix} 1 \times 1, 512 \\ 3 \times 3, 512 \\ 1 \times 1, 2048 \end{bmatrix}"
# fmt: off
TABLE_1 = (
    Claim("table1-conv1", "Table 1, row 1", "112×112 7 × 7, 60 /2",
          ("112×112", "7 × 7", "/2"), "stem", ("conv1",)),
    Claim("table1-conv1-filters", "Table 1, row 1", "7 × 7, 60 /2",
          ("60",), "conv1_filters", one_glyph=True),
    Claim("table1-pool1", "Table 1, row 2", "56 × 56 3 × 3 max pool /2",
          ("56 × 56", "3 × 3", "/2"), "stem", ("pool1",)),
    Claim("table1-res2", "Table 1, row 3", "56 × 56 1 × 1, 64 3 × 3, 64 1 × 1, 256 ×3",
          ("56 × 56", "1 × 1, 64", "3 × 3, 64", "1 × 1, 256", "×3"), "stage", ("2",)),
    Claim("table1-res3", "Table 1, row 4", "28 × 28 1 × 1, 128 3 × 3, 128 1 × 1, 512 ×4",
          ("28 × 28", "1 × 1, 128", "3 × 3, 128", "1 × 1, 512", "×4"), "stage", ("3",)),
    Claim("table1-res4", "Table 1, row 5", "14 × 14 1 × 1, 256 3 × 3, 256 1 × 1, 1024 ×6",
          ("14 × 14", "1 × 1, 256", "3 × 3, 256", "1 × 1, 1024", "×6"), "stage", ("4",)),
    Claim("table1-res5", "Table 1, row 6", f"7 × 7 ${LAST}$",
          ("7 × 7", "1 × 1, 512", "3 × 3, 512", "1 × 1, 2048"), "stage_shape", ("5",),
          again=(f"${LAST}$",)),
    Claim("table1-res5-blocks", "Table 1, row 6", f"${LAST}$ ×3", ("×3",), "own_blocks"),
    Claim("table1-pool5", "Table 1, row 7", "1 × 1 avg pool avg pool avg pool",
          ("1 × 1",), "pool5"),
    Claim("table1-heads", "Table 1, row 8", "117-d fc 553-d fc 167-d fc",
          ("117-d", "553-d", "167-d"), "heads", ("adj", "anp", "noun")),
    Claim("table1-softmax", "Table 1, row 9", "softmax softmax softmax", (), "softmaxes"),
    Claim("table1-layers", "Table 1 and Figure 4, captions",
          "Multitask Residual Network with 50 layers", ("50",), "weight_layers",
          again=("we show 50-layer multitask residual networks",
                 "single-task residual networks, respectively, with 50 layers",
                 "residual network with 50-layers (ResNet-50) as the basis",
                 "ResNet architecture with 50-layers (ResNet-50)")),
    Claim("table1-downsampling", "Table 1, caption",
          "Downsampling is performed by stride 2 after stacked residual blocks",
          ("2",), "downsampling"),
)
# fmt: on
