"""What sections 1 to 4 state: equations, the branching point, the network's layout."""

from __future__ import annotations

from netgen.paper.claims.claim import Claim, Measure

# fmt: off
METHOD = (
    Claim("tasks", "Section 1, contributions",
          "three classification tasks (noun, adjective, and adjective-noun pair detection)",
          ("three",), Measure.TASKS,
          again=("over three tasks, i.e. adjective, noun and adjective-noun pair",)),
    Claim("equation-1", "Section 3, equation (1)",
          r"\mathbf{y} = \mathcal{F}(\mathbf{x}, \{\mathbf{W}_i\}) + \mathbf{W}_s \mathbf{x}",
          (), Measure.RESIDUAL_SUMS),
    Claim("equation-1-identity", "Section 3",
          r"For identity shortcut connections, $\mathbf{W}_s = \mathbf{I}$",
          (), Measure.IDENTITY_SHORTCUTS,
          again=("other shortcuts are identity",)),
    Claim("equation-2", "Section 3, equation (2)",
          r"+ \sum_{j=1}^N \mathbf{W}_s^{(j)} \mathbf{x}", (), Measure.EQUATION_2),
    Claim("equation-2-indices", "Section 3, equation (2)",
          r"the superscript $(\cdot)$ indexes the target task", (), Measure.WEIGHTS_BY_SOURCE),
    Claim("figure-3-skips", "Section 2",
          "we continue mixing information even after branching via our cross-skip connections",
          (), Measure.CROSS_SUMS, ("xs",)),
    Claim("different-highways", "Section 3, below equation (4)",
          r"prior cell states $\mathbf{c}_{k-1}^{(t)}$ or information highways $\mathbf{x}^{(t)}$",
          (), Measure.DIFFERENT_INPUTS),
    Claim("branching-heads", "Section 4",
          "a branching point in the architecture that leads to one network head per task",
          (), Measure.ONE_HEAD_A_TASK),
    Claim("branching-point", "Section 4",
          "a branching point at the last input size reduction", (), Measure.BRANCHING_POINT),
    Claim("branching-early", "Section 4",
          "the larger the input feature map size is to the individual network heads, often"
          " resulting in multitask networks with a large memory footprint",
          (), Measure.MEMORY_OF_BRANCHES),
    Claim("towers-memory", "Section 4",
          "a composite network that is very memory intensive and only feasible in a multi-GPU"
          " environment", (), Measure.UNCUT_TOWERS),
    Claim("moved-norm", "Section 4",
          "placing it after the elementwise addition such that there is one per task",
          (), Measure.MOVED_NORMALISATION),
    Claim("loss-sum", "Section 4",
          "we simply use the unweighted sum over all the network head losses",
          (), Measure.UNWEIGHTED_LOSSES),
    Claim("figure-4-projections", "Figure 4",
          r"shortcuts indicate $1 \times 1$ projections", ("1 × 1",), Measure.PROJECTION_KERNELS,
          again=(r"projections are performed with a $1 \times 1$ convolution",)),
    Claim("figure-4-convolutions", "Figure 4",
          "Residual weight blocks show three convolutions grouped for space",
          ("three",), Measure.CONVOLUTIONS_A_BLOCK),
    Claim("figure-4-cross", "Figure 4",
          "indicate cross-residual weighted connections", (), Measure.CROSS_SHORTCUTS),
)
# fmt: on
