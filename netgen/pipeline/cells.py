"""Where an experiment's files are, and which cells it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netgen.pipeline.miniature import (
    CHOOSING,
    COMPARED,
    RATE,
    RATES,
    SPECULATED_SEEDS,
    SPECULATIONS,
    TABLE,
    Compared,
)

LETTERS, CHOICE = "letters", "choosing"


class ExperimentError(ValueError):
    """An experiment that cannot be made as asked; the message says why and what next."""


@dataclass(frozen=True)
class Cell:
    """One training: a network, a seed, the rate that it starts with, and on which split."""

    network: str
    seed: int
    rate: float = RATE
    split: str = LETTERS

    @property
    def name(self) -> str:
        """As the command line takes it, such as ``xs-3``."""
        chosen = f"-rate{self.rate:g}" if self.split == CHOICE else ""
        return f"{self.network}-{self.seed}{chosen}"

    @property
    def compared(self) -> Compared:
        """The network's row."""
        return COMPARED[self.network]

    @property
    def start(self) -> Cell | None:
        """The cell whose trained weights this one starts from; None for the trunk's."""
        start = self.compared.start
        return None if start is None else Cell(start, self.seed, self.rate, self.split)


@dataclass(frozen=True)
class Places:
    """The folders: `data`, as examples/typefaces makes it, and `work`, the experiment's own."""

    data: Path
    work: Path

    def lists(self, split: str) -> Path:
        """Return the list of a split's images."""
        return self.data / split / "records.csv"

    @property
    def pretraining(self) -> Path:
        """The dataset that the trunk is trained on."""
        return self.data / "pretraining" / "dataset.toml"

    @property
    def trunk(self) -> Path:
        """The folder of the pretrained trunk."""
        return self.work / "trunk"

    def dataset(self, split: str, seed: int) -> Path:
        """Return the folder of the databases of a seed: its order of the same images."""
        return self.work / "data" / f"{split}-{seed}"

    def cell(self, cell: Cell) -> Path:
        """Return a cell's folder."""
        return self.work / "cells" / cell.name

    @property
    def settings(self) -> Path:
        """What the experiment was begun with."""
        return self.work / "settings.json"


def cells(seeds: int) -> list[Cell]:
    """Return all cells of the experiment, the paper's networks first, seed by seed."""
    fewer = range(1, min(seeds, SPECULATED_SEEDS) + 1)
    return [Cell(network.name, seed) for seed in range(1, seeds + 1) for network in TABLE] + [
        Cell(network.name, seed) for seed in fewer for network in SPECULATIONS
    ]


def choosing() -> list[Cell]:
    """Return the cells by which the rate is chosen, on the training images alone."""
    return [Cell(network, 1, rate, CHOICE) for rate in RATES for network in CHOOSING]


def named(names: Sequence[str]) -> list[Cell]:
    """Return the cells of these names.

    Raises
    ------
    ExperimentError
        One of them is no cell's.
    """
    return [_named(name) for name in names]


def _named(name: str) -> Cell:
    network, _, seed = name.rpartition("-")
    if network not in COMPARED or not seed.isdecimal() or int(seed) < 1:
        raise ExperimentError(
            f"{name!r} is no cell: say NETWORK-SEED, such as xs-3, with one of the networks"
            f" {', '.join(COMPARED)}"
        )
    return Cell(network, int(seed))
