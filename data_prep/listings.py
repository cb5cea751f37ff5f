"""The lists of a dataset: every image in the databases, every one left out, and duplicates.

All are CSV in UTF-8 with every field in quotation marks, so that a name may hold commas, quotation
marks and line breaks; a file name that is no valid UTF-8 keeps its bytes. A field that a
spreadsheet would run as a formula has an apostrophe ahead (`netgen.system.text.cell`).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.datums import key
from data_prep.ledger import Ledger, decoded
from netgen.system.files import check_regular
from netgen.system.text import cell, from_cell

RECORDS, REJECTS, DUPLICATES = "records.csv", "rejects.csv", "duplicates.csv"
# After these, each task's class name and label: `class:noun`, `label:noun`, …
RECORDS_COLUMNS = ("split", "key", "name", "sha256")
REJECTS_COLUMNS = ("name", "reason")
# `family` is a number that images which count as the same share.
DUPLICATES_COLUMNS = ("family", *RECORDS_COLUMNS)


def write_lists(ledger: Ledger, tasks: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Write the three lists of a planned dataset into `folder`."""
    labels = [f"{kind}:{task}" for task in tasks for kind in ("class", "label")]
    _write(folder / RECORDS, [*RECORDS_COLUMNS, *labels], _records(ledger, tasks))
    _write(folder / REJECTS, REJECTS_COLUMNS, _rejects(ledger))
    _write(folder / DUPLICATES, [*DUPLICATES_COLUMNS, *labels], _duplicates(ledger, tasks))


def read_list(file: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a list, each as column -> field."""
    check_regular(file)
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        for row in csv.DictReader(lines, dialect="unix", strict=True):
            yield {
                column: from_cell(field) if isinstance(field, str) else field
                for column, field in row.items()
            }


def _write(file: Path, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    with file.open("w", encoding="utf-8", errors="surrogateescape", newline="") as lines:
        writer = csv.writer(lines, dialect="unix")
        writer.writerow(columns)
        writer.writerows(map(cell, row) for row in rows)


def _records(ledger: Ledger, tasks: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    for row in ledger.connection.execute(
        "SELECT split, position, name, sha256, labels FROM items WHERE split NOTNULL"
        " ORDER BY split DESC, position"  # train, then test
    ):
        yield _record(tasks, *row)


def _duplicates(ledger: Ledger, tasks: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    for family, *row in ledger.connection.execute(
        "SELECT DENSE_RANK() OVER (ORDER BY first.rank, first.name), items.split, items.position,"
        " items.name, items.sha256, items.labels FROM items JOIN items AS first"
        " ON first.id = items.family ORDER BY first.rank, first.name, items.rank, items.name"
    ):
        yield [str(family), *_record(tasks, *row)]


def _rejects(ledger: Ledger) -> Iterator[tuple[str, str]]:
    for name, reason in ledger.connection.execute(
        "SELECT name, reason FROM items WHERE reason NOTNULL"
        " UNION ALL SELECT name, reason FROM not_listed ORDER BY 1, 2"
    ):
        yield decoded(name), reason


def _record(tasks: Mapping[str, Sequence[str]], *row: Any) -> list[str]:
    split, position, name, sha256, labels = row
    fields = [split, key(position).decode(), decoded(name), sha256.hex()]
    for names, label in zip(tasks.values(), json.loads(labels), strict=True):
        fields += [names[label], str(label)]
    return fields
