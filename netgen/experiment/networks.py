"""What is compared: Table 2's networks, and what the paper speculates about.

A network is what `netgen build` makes of a variant and options; its name here is what reports and
the command line call it.
"""

from __future__ import annotations

from dataclasses import dataclass

from netgen.paper import TASKS

SINGLE = {task: f"resnet50-{task}" for task in TASKS}


@dataclass(frozen=True)
class Compared:
    """A network of the experiment.

    Attributes
    ----------
    name
        In the report.
    variant
        In `netgen list`.
    options
        What `netgen build` is told besides.
    start
        The network of the same seed whose trained weights it starts from; None for the pretrained
        trunk, which everything else starts from.
    about
        What it is; for those beyond Table 2, and where the paper speaks of it.
    """

    name: str
    variant: str
    options: tuple[str, ...] = ()
    start: str | None = None
    about: str = ""


# Section 5.2: all but DeepSentiBank and the other baselines, which start from other weights.
TABLE = tuple(Compared(name, name) for name in (*SINGLE.values(), "x0", "x1", "xs"))

MEAN = ("--reading", "normalization=mean")
EARLIER = ("--beyond", "branch=after-res4a")
# fmt: off
SPECULATIONS = (
    Compared("xs-fixed", "xs", ("--beyond", "cross-learning=fixed"),
             about="cross weights stay at their random start"),
    Compared("xs-from-zero", "xs", ("--beyond", "cross-start=zero"),
             about="cross weights learned from a start at zero"),
    Compared("xs-from-one", "xs", ("--beyond", "cross-start=one"),
             about="cross weights learned from a start at one"),
    Compared("x1-mean", "x1", MEAN,
             about="X_1 with the omitted normalisation factor, 1/3 (equation 2)"),
    Compared("xs-mean", "xs", MEAN,
             about="X_S with the omitted normalisation factor, 1/3 (equation 2)"),
    Compared("xs-self", "xs", ("--beyond", "self-weight=learned"),
             about="self weights learned too, from one (section 6)"),
    Compared("xs-convolution", "xs", ("--beyond", "cross-form=convolution"),
             about="a 1 x 1 convolution as cross weight (section 5.2.3)"),
    Compared("xs-earlier", "xs", EARLIER,
             about="branching earlier: three cross-residual layers (section 5.2.2)"),
    Compared("x0-earlier", "x0", EARLIER,
             about="branching earlier, without cross-residuals"),
    Compared("xs-frozen", "xs", ("--beyond", "towers=frozen"), "x0",
             about="X_0 as trained, frozen; cross weights and classifiers learn on (section 6)"),
)
# fmt: on

COMPARED = {network.name: network for network in (*TABLE, *SPECULATIONS)}
