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
from data_prep.image_source import DataError
from data_prep.ledger import Ledger, decoded
from netgen.system.files import check_regular, lines_of
from netgen.system.text import cell, from_cell

RECORDS, REJECTS, DUPLICATES = "records.csv", "rejects.csv", "duplicates.csv"
AGAIN = "copy it again from where it is whole, or make the dataset again"
# After these, each task's class name and label: `class:noun`, `label:noun`, …
RECORDS_COLUMNS = ("split", "key", "name", "sha256")
REJECTS_COLUMNS = ("name", "reason")
FAMILY = "family"  # of duplicates: a number that images which count as the same share


def records_columns(tasks: Iterable[str]) -> list[str]:
    """Return the columns of ``records.csv`` for these tasks."""
    return [*RECORDS_COLUMNS, *(f"{kind}:{task}" for task in tasks for kind in ("class", "label"))]


def write_lists(ledger: Ledger, tasks: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Write the three lists of a planned dataset into `folder`."""
    columns = records_columns(tasks)
    _write(folder / RECORDS, columns, _records(ledger, tasks))
    _write(folder / REJECTS, REJECTS_COLUMNS, _rejects(ledger))
    _write(folder / DUPLICATES, [FAMILY, *columns], _duplicates(ledger, tasks))


def read_list(file: Path, columns: Iterable[str] = ()) -> Iterator[dict[str, str]]:
    """Yield the rows of a list, each as column -> field; `columns` are those that it must have.

    Raises
    ------
    DataError
        It lacks one of the columns or has one twice, has a row of another length, or is no CSV.
    OSError
        It cannot be read.
    """
    check_regular(file)
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as opened:
        reader = csv.reader(lines_of(opened, file), dialect="unix", strict=True)
        try:
            header = next(reader, [])
            for column in columns:
                if header.count(column) != 1:
                    raise DataError(
                        f"{file}: {header.count(column)} columns {column!r} in its first line, as"
                        f" `netgen data` does not write it: {AGAIN}"
                    )
            for row in reader:
                if row and len(row) != len(header):  # an empty line is no row
                    raise DataError(
                        f"{file}, line {reader.line_num}: {len(row)} fields, but its first line"
                        f" has {len(header)}: {AGAIN}"
                    )
                if row:
                    yield dict(zip(header, map(from_cell, row), strict=True))
        except csv.Error as error:
            raise DataError(f"{file}, line {reader.line_num}: {error}: {AGAIN}") from None


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
