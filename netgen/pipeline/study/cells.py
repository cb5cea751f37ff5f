"""A cell of a study: the commands that make it, each one that a user could type.

Each command leaves files that show whether it is done, so a study can be made in parts, on several
machines, and resumed.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from netgen.network.description import built_for
from netgen.pipeline.study.study_settings import Settings
from netgen.training.journal import read_journal
from netgen.training.run_folder import RunFolder
from netgen.training.state import COMPLETED, FAILED

Words = tuple[str, ...]  # a command of netgen, without `netgen`


def as_typed(words: Words) -> str:
    """Return a command as a user types it."""
    return shlex.join(("netgen", *words))


@dataclass(frozen=True)
class Step:
    """A command: its words, the files that show that it is done, and those that it needs.

    `run` is the folder of a training, which is done when its journal says so, and is resumed when
    it has begun. `of` is the dataset.toml for which a network has to be built: one that is there
    and was built for another is not done.
    """

    first_words: Words
    makes: tuple[Path, ...]
    needs: tuple[Path, ...] = ()
    run: Path | None = None
    of: Path | None = None

    @property
    def words(self) -> Words:
        """The command's words, of a training that has begun those that resume it."""
        if self.run and RunFolder(self.run).record.exists():
            return ("train", "--resume", "--run", str(self.run))
        return self.first_words

    @property
    def is_done(self) -> bool:
        """Whether it is done."""
        if self.run:
            return _is_trained(self.run)
        there = all(file.exists() for file in self.makes)
        return there and (self.of is None or built_for(self.makes[0].parent, self.of))


@dataclass(frozen=True)
class CellFiles:
    """The files of a network's cell, below `root`, where the commands put them by default."""

    root: Path
    variant: str

    @property
    def model(self) -> Path:
        """The folder of the network's prototxts."""
        return self.root / "models" / self.variant

    @property
    def solver(self) -> Path:
        """The solver."""
        return self.root / "solvers" / f"{self.variant}.prototxt"

    @property
    def initial(self) -> Path:
        """The weights that the training starts from."""
        return self.model / "initial.caffemodel"

    @property
    def run(self) -> Path:
        """The training's folder."""
        return self.root / "runs" / self.variant

    @property
    def result(self) -> Path:
        """What `netgen eval` writes."""
        return self.root / "results" / f"{self.variant}.json"


@dataclass(frozen=True)
class Trained:
    """What a network's cell is: see `Settings` and `Network` of the study's file.

    Attributes
    ----------
    network, variant, seed
        Its network's name in the study and in `netgen list`, and the seed.
    labels
        Axis -> label, of the axes along which it varies.
    trial
        The label of the trial that it belongs to; None for a cell that decides.
    settings
        All that apply to it.
    dataset
        The dataset.toml that it is trained and tested on.
    source
        That which the user has made, which this one comes from; the same where it is that.
    classes
        As in the study.
    files
        Where its files are.
    inside
        Whether what goes on inside is kept: all snapshots, and how large what blocks add is.
    may_diverge
        Whether a training that diverged counts, instead of failing.
    """

    network: str
    variant: str
    seed: int
    labels: dict[str, str]
    trial: str | None
    settings: Settings
    dataset: Path
    source: Path
    classes: str | None
    files: CellFiles
    inside: bool = False
    may_diverge: bool = False

    @property
    def diverged(self) -> str | None:
        """How its training diverged, where that counts; None where it did not."""
        if not self.may_diverge:
            return None
        last = next(reversed(read_journal(RunFolder(self.files.run).journal)), None)
        if last is None or last["event"] != "end" or last["why"] != FAILED:
            return None
        return f"iteration {last['iteration']:,}: {last['what']}"


@dataclass(frozen=True)
class Cell:
    """Databases, or a network: its name, the cells that it depends on, and its commands."""

    name: str
    needs: tuple[str, ...]
    steps: tuple[Step, ...]
    trained: Trained | None = None

    @property
    def is_done(self) -> bool:
        """Whether its last command is done, or can never be run, so that none is left."""
        return self.steps[-1].is_done or bool(self.trained and self.trained.diverged)

    @property
    def left(self) -> list[Step]:
        """The commands that are to be run; what a complete training started from is not."""
        if self.is_done:
            return []
        trained = any(step.run and step.is_done for step in self.steps)
        made = [
            step.is_done
            or (trained and self.trained and step.makes == (self.trained.files.initial,))
            for step in self.steps
        ]
        return [step for step, done in zip(self.steps, made, strict=True) if not done]

    @property
    def iterations(self) -> int | None:
        """The length of its training, where the study says so."""
        return self.trained.settings.iterations if self.trained else None

    @property
    def iterations_done(self) -> int:
        """How far its training is."""
        if self.trained is None:
            return 0
        entries = read_journal(RunFolder(self.trained.files.run).journal)
        return int(entries[-1]["iteration"]) if entries else 0


def _is_trained(run: Path) -> bool:
    ended = False
    for entry in read_journal(RunFolder(run).journal):
        ended = entry["event"] == "end" and entry["why"] in COMPLETED
    return ended
