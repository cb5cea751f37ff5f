"""The commands that train a network as section 5.2 did: one place for all that tell them.

"We initialized most layers using weights from a residual network (ResNet) model", and the rate was
"decreased […] by a factor of ten whenever the loss plateaued". `netgen init` makes such weights,
and `netgen train` has a rule for plateaus. Caffe has neither: from a solver alone it starts at
random, and the rate stays. `netgen --help` imports this module, so it imports little.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

HES_WEIGHTS = "ResNet-50-model.caffemodel"  # under the name that He published it


@dataclass(frozen=True)
class TrainingCommands:
    """The commands that train a network, as they are typed in the folder where netgen wrote it.

    Attributes
    ----------
    name
        The variant.
    out
        Where its `models` and `solvers` are.
    published
        The caffemodel that its initial weights are made from; None where none fits.
    gpu
        The GPU that trains it; None for the solver's own mode.
    scheduled
        Whether the solver itself lowers the rate, before iterations that it lists.
    initial
        Its initial weights, where they are there; None for those that `netgen init` is to write.
    """

    name: str
    out: Path = Path()
    published: str | None = HES_WEIGHTS
    gpu: int | None = 0
    scheduled: bool = False
    initial: Path | None = None

    @property
    def solver(self) -> Path:
        """Its solver."""
        return self.out / "solvers" / f"{self.name}.prototxt"

    @property
    def init(self) -> str | None:
        """The command that makes its initial weights; None where they are there, or none fit."""
        if self.published is None or self.initial:
            return None
        net = self.out / "models" / self.name / "train_val.prototxt"
        network = ("--variant", self.name) if self._is_here else ("--net", net.as_posix())
        return shlex.join(("netgen", "init", *network, "--from", self.published))

    @property
    def train(self) -> str:
        """The command of netgen, which lowers the rate at plateaus and resumes to the bit."""
        solver = ("--solver", self.solver.as_posix())
        network = ("--variant", self.name) if self._is_here else solver
        words = ["netgen", "train", *network, *self._options("--")]
        return shlex.join([*words, *(("--plateau", "off") if self.scheduled else ())])

    @property
    def caffe(self) -> str:
        """The command of plain Caffe, which does neither."""
        words = ("caffe", "train", "-solver", self.solver.as_posix())
        return shlex.join([*words, *self._options("-")])

    @property
    def lines(self) -> tuple[str, ...]:
        """What to tell a reader: sentences, and the commands, indented."""
        commands = [f"  {command}" for command in (self.init, self.train) if command]
        return (*self._start(), *commands, self._plain(), f"  {self.caffe}")

    def _start(self) -> tuple[str, ...]:
        falls = "" if self.scheduled else "; the rate falls at plateaus"
        if self.initial:
            return (f"Train it{falls}:",)
        if self.init:
            return (f"Train it from ImageNet's weights (section 5.2){falls}:",)
        return (
            "It starts from random weights, as section 5.2 did not: none of those that"
            " are published for the paper's networks fit it.",
            f"Train it{falls}:",
        )

    def _plain(self) -> str:
        """Say what plain Caffe lacks."""
        if self.scheduled:
            return "Plain Caffe does not resume to the same bits:"
        return "Plain Caffe keeps the rate as it is, and does not resume to the same bits:"

    @property
    def _is_here(self) -> bool:
        """Whether netgen finds the network by its name: it is below the current folder."""
        return self.out == Path()

    def _options(self, dashes: str) -> list[str]:
        """Return the words that name weights and GPU, which netgen and Caffe spell alike."""
        folder = self.out / "models" / self.name
        weights = self.initial or (folder / "initial.caffemodel" if self.init else None)
        words = [f"{dashes}weights", weights.as_posix()] if weights else []
        return [*words, *([] if self.gpu is None else [f"{dashes}gpu", str(self.gpu)])]
