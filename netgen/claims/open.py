"""What the paper leaves open and we chose: from `Recipe`'s metadata and the networks' readings."""

from __future__ import annotations

from dataclasses import fields

from netgen.claims.model import Claim, Uncheckable
from netgen.paper import Recipe

# fmt: off
LEFT_OPEN = (
    *(
        Claim(f"open-{field.name.replace('_', '-')}", "Left open by the paper", "", (),
              "choice", (field.name,))
        for field in fields(Recipe)
        if "choice" in field.metadata
    ),
    Claim("open-mean", "Left open by the paper", "", (), "mean_pixel"),
)

NOT_CHECKABLE = (
    Uncheckable("Section 1", r"i.e. $\mathcal{F}(\mathbf{x}) = 0$", ("0",),
                "the trivial solution of a thought experiment, not of this network"),
    Uncheckable("Section 2", "broadly intersects three major lines of research areas", ("three",),
                "the authors' view of the literature"),
    Uncheckable("Section 3, ladder networks", "two encoders and one decoder", ("two",),
                "about other authors' networks"),
    Uncheckable("Figure 3", "Cross-residual Building Block (with two tasks)", ("two",),
                "the picture is not in our copy of the text; any number of tasks can be built"),
    Uncheckable("Section 5", "only consist of two learning tasks", ("two",),
                "about other data sets, none of them named"),
    Uncheckable("Section 5.1", "which consists of 24 basic emotions", ("24",),
                "about Plutchik's book, not about these networks or data"),
    Uncheckable("Section 5.2.2", r"\mathbf{W}_s^{(j)} = \mathbf{0}", ("0",),
                "a definition: X_0 has no cross weights, which the claim about its sums checks"),
)
# fmt: on
