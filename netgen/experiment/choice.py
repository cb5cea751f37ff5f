"""How the rate was chosen: what each gave on the training images that were kept back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

import msgspec

from netgen.experiment.record import CellRecord
from netgen.files import write_all

FILE = "choosing.json"


def write_choice(cells: Sequence[CellRecord], out: Path) -> Path:
    """Write the cells by which a rate is chosen into `out`; return the file."""
    file = out / FILE
    write_all({file: msgspec.json.format(msgspec.json.encode(cells), indent=1) + b"\n"})
    return file


def read_choice(out: Path) -> list[CellRecord]:
    """Return the cells by which the rate was chosen; none where they are not at hand.

    Raises
    ------
    ValueError
        The file is damaged.
    """
    file = out / FILE
    return msgspec.json.decode(file.read_bytes(), type=list[CellRecord]) if file.exists() else []


def means(cells: Iterable[CellRecord]) -> dict[float, float]:
    """Return rate -> the mean, over networks, of their tasks' mean top-1 accuracy, in percent."""
    found: dict[float, list[float]] = {}
    for cell in cells:
        found.setdefault(cell.rate, []).append(fmean(cell.accuracy(task) for task in cell.tasks))
    return {rate: fmean(values) for rate, values in found.items()}
