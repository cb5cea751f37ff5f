"""Databases: there, readable, of the right size and aligned. A glance: not every record is read."""

from __future__ import annotations

from pathlib import Path

from netgen.dataset import MTVSO, Split, read_dataset
from netgen.doctor.finding import Asked, Finding, lack, ok
from netgen.lmdbs import DatabaseError, reading

ABOUT = "databases"
MAKE = "`netgen data --help` tells how databases are made"


def examine(asked: Asked) -> list[Finding]:
    """Look at every database of the dataset."""
    if asked.dataset is None:
        if not Path(MTVSO.train.images).exists():
            what = f"the paper's are not at {Path(MTVSO.train.images).parent.parent}"
            return [lack(ABOUT, what, "make them, or name another --dataset", needed=False)]
        splits = (MTVSO.train, MTVSO.test)
    else:
        try:
            dataset = read_dataset(asked.dataset)
        except ValueError as error:
            return [lack(ABOUT, str(error), MAKE)]
        splits = (dataset.train, dataset.test)
    return [_look(split) for split in splits]


def _look(split: Split) -> Finding:
    """Compare the numbers of records, and the first and last keys, of a split's databases."""
    paths = [split.images, *split.labels.values()]
    try:
        ends = {path: _ends(Path(path)) for path in paths}
    except (DatabaseError, OSError) as error:
        return lack(ABOUT, str(error), MAKE)
    for path, (records, *keys) in ends.items():
        if records != split.records:
            what = f"{path}: {records:,} records, not {split.records:,}"
            return lack(ABOUT, what, MAKE)
        if keys != list(ends[split.images][1:]):
            what = f"{path}: not aligned with {split.images}: its first or last key is another"
            return lack(ABOUT, what, MAKE)
    return ok(
        ABOUT, f"{Path(split.images).parent}: {split.records:,} records in each of {len(paths)}"
    )


def _ends(path: Path) -> tuple[int, bytes, bytes]:
    """Return a database's number of records, its first key and its last."""
    with reading(path) as (transaction, records):
        cursor = transaction.cursor()
        cursor.first()
        first = cursor.key()
        cursor.last()
        return records, first, cursor.key()
