"""Images and labels listed in a CSV file: a column of paths, and a column per task."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from data_prep.class_lists import check_classes, check_task, dataset_name, in_order, read_classes
from data_prep.image_files import FileTree, unique_items
from data_prep.image_source import DataError, ImageSource, Item, Reject, SplitName
from netgen.system.files import check_regular, lines_of

PATH, SPLIT = "path", "split"
DELIMITERS = ",;\t"
SPLITS: dict[str, SplitName] = {name: name for name in get_args(SplitName)}


def csv_file(file: Path, root: Path | None = None, classes: Path | None = None) -> ImageSource:
    """Return a source of the images that a CSV file lists (UTF-8; commas, semicolons or tabs).

    The header names the columns: ``path``, one per task, and optionally ``split`` (train or test).

    Parameters
    ----------
    file
        The CSV file.
    root
        The folder that the paths start in; the file's own by default.
    classes
        A folder with ``<task>.txt`` for every task: class names, one per line, in label order.
        By default they are the values in the columns, sorted; whole numbers by value.

    Raises
    ------
    DataError
        The file or a list of classes cannot be read or used; a bad row alone is a `Reject`.
    """
    table = _CsvTable(file)
    for task in table.tasks:
        check_task(task, f"{file}: column")
    names = table.classes() if classes is None else _given(classes, table.tasks)
    for task, known in names.items():
        check_classes(task, known, file if classes is None else classes / f"{task}.txt")
    tree = FileTree((root or file.parent).absolute())
    items = _Listed(table, {task: _labels(known) for task, known in names.items()}).items
    return ImageSource(dataset_name(file), names, items, tree.load, tree.stamp)


def _given(folder: Path, tasks: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {task: read_classes(folder / f"{task}.txt") for task in tasks}


def _labels(names: tuple[str, ...]) -> dict[str, int]:
    return {name: label for label, name in enumerate(names)}


@dataclass(frozen=True)
class _CsvTable:
    """A CSV file with a header; read again each time."""

    file: Path
    columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        header = tuple(column.strip() for column in next(self._lines(), (0, []))[1])
        for column in (*header, PATH):
            if header.count(column) != 1:
                raise DataError(
                    f"{self.file}: {header.count(column)} columns {column!r} in its first line:"
                    f" that must name {PATH!r}, one column per task, and {SPLIT!r} if wanted, once"
                    " each"
                )
        object.__setattr__(self, "columns", header)
        if not self.tasks:
            raise DataError(f"{self.file}: no task: add a column with a class for every image")

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(column for column in self.columns if column not in (PATH, SPLIT))

    def classes(self) -> dict[str, tuple[str, ...]]:
        """Return the classes in every task's column, in label order."""
        found: dict[str, set[str]] = {task: set() for task in self.tasks}
        unfit = None
        for row in self.rows():
            if isinstance(row, Reject):
                unfit = unfit or row
                continue
            for task in self.tasks:
                found[task].add(row[task])
        if unfit and not any(found.values()):
            raise DataError(f"{self.file}: no row is usable: {unfit.name}: {unfit.reason}")
        return {task: in_order(names - {""}) for task, names in found.items()}

    def rows(self) -> Iterator[dict[str, str] | Reject]:
        """Yield each row's fields by column."""
        lines = self._lines()
        next(lines, None)
        for number, fields in lines:
            if len(fields) == len(self.columns):
                row = dict(zip(self.columns, fields, strict=True))
                yield row | {c: row[c].strip() for c in self.columns if c != PATH}
            elif fields:  # no empty line
                reason = f"{len(fields)} columns, the first line has {len(self.columns)}"
                yield Reject(f"{self.file.name}, line {number}", reason)

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of every line that ends a row, and the row's fields."""
        try:
            # A path may hold any bytes; class names may not, and are checked.
            check_regular(self.file)
            with self.file.open(
                encoding="utf-8-sig", errors="surrogateescape", newline=""
            ) as content:
                delimiter = _delimiter(next(lines_of(content, self.file), ""))
                content.seek(0)
                lines = lines_of(content, self.file)
                reader = csv.reader(lines, delimiter=delimiter, strict=True)
                try:
                    for fields in reader:
                        yield reader.line_num, fields
                except csv.Error as error:
                    where = f"{self.file}: line {reader.line_num}"
                    raise DataError(f"{where}: {error}: is this a CSV file in UTF-8?") from None
        except OSError as error:
            raise DataError(f"{self.file}: {error.strerror}") from None


def _delimiter(header: str) -> str:
    return next((each for each in DELIMITERS if each in header), ",")


@dataclass(frozen=True)
class _Listed:
    table: _CsvTable
    labels: Mapping[str, Mapping[str, int]]

    def items(self) -> Iterator[Item | Reject]:
        return unique_items(self._rows)

    def _rows(self) -> Iterator[Item | Reject]:
        for row in self.table.rows():
            yield row if isinstance(row, Reject) else self._item(row)

    def _item(self, row: Mapping[str, str]) -> Item | Reject:
        labels = {}
        for task, known in self.labels.items():
            if row[task] not in known:
                what = f"no class {row[task]!r}" if row[task] else "no class"
                return Reject(row[PATH], f"{what} of task {task!r}")
            labels[task] = known[row[task]]
        if SPLIT in row and row[SPLIT] not in SPLITS:
            return Reject(row[PATH], f"split {row[SPLIT]!r}: expected {' or '.join(SPLITS)}")
        return Item(row[PATH], labels, SPLITS.get(row.get(SPLIT, "")))
