"""What is compared: Table 2's networks, and what the paper speculates about.

A network is what `netgen build` makes of a variant and options; its name here is what reports and
the command line call it.
"""

from __future__ import annotations

from dataclasses import dataclass

from netgen.paper import TASKS
from netgen.variants import READINGS

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

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it solves."""
        return tuple(task for task in TASKS if SINGLE[task] == self.variant) or tuple(TASKS)


def _beyond(name: str, *words: str, about: str, variant: str = "xs", start: str | None = None
            ) -> Compared:  # fmt: skip
    """Return a network with other readings of the paper, or options beyond it."""
    options = (
        word
        for setting in words
        for word in ("--reading" if setting.split("=")[0] in READINGS else "--beyond", setting)
    )
    return Compared(name, variant, tuple(options), start, about)


# Section 5.2: all but DeepSentiBank and the other baselines, which start from other weights.
TABLE = tuple(Compared(name, name) for name in (*SINGLE.values(), "x0", "x1", "xs"))

# fmt: off
SPECULATIONS = (
    _beyond("xs-fixed", "cross-learning=fixed",
            about="cross weights stay at their random start"),
    _beyond("xs-from-zero", "cross-start=zero",
            about="cross weights learned from a start at zero"),
    _beyond("xs-from-one", "cross-start=one",
            about="cross weights learned from a start at one"),
    _beyond("x1-mean", "normalization=mean", variant="x1",
            about="X_1 with the omitted normalisation factor, 1/3 (section 3.2)"),
    _beyond("xs-mean", "normalization=mean",
            about="X_S with the omitted normalisation factor, 1/3 (section 3.2)"),
    _beyond("xs-self", "self-weight=learned",
            about="self weights learned too, from one (section 6)"),
    _beyond("xs-convolution", "cross-form=convolution",
            about="a 1 x 1 convolution as cross weight (section 5.2.3)"),
    _beyond("xs-earlier", "branch=after-res4a",
            about="branching earlier: three cross-residual layers (section 5.2.2)"),
    _beyond("x0-earlier", "branch=after-res4a", variant="x0",
            about="branching earlier, without cross-residuals"),
    _beyond("xs-frozen", "towers=frozen", start="x0",
            about="X_0 as trained, frozen; cross weights and classifiers learned (section 6)"),
)
# fmt: on

COMPARED = {network.name: network for network in (*TABLE, *SPECULATIONS)}
