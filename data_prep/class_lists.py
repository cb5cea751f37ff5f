"""Class names: read from a list, or put in order where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from data_prep.image_source import DataError
from netgen.network.dataset import PATTERNS_IN_WORDS, RESERVED_NAMES, TASK_NAME
from netgen.system.files import read_text_file
from netgen.system.text import check_name, names_in


def read_classes(file: Path) -> tuple[str, ...]:
    """Return the class names of a file with one per line, in label order.

    Raises
    ------
    DataError
        It cannot be read, is not UTF-8, is empty, or holds a name that is refused.
    """
    try:
        lines = names_in(read_text_file(file), str(file), DataError)
    except OSError as error:
        raise DataError(
            f"{file}: {error.strerror}: it should have one class name per line"
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{file}: not UTF-8 text: save it as UTF-8") from None
    classes = tuple(line.strip() for line in lines if line.strip())
    if not classes:
        raise DataError(f"{file}: empty: write one class name per line")
    return classes


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names in the order of their labels: whole numbers as such, others as text.

    Those of more digits than any number that counts something are text.
    """
    found = sorted(names)
    if all(re.fullmatch(r"-?[0-9]{1,18}", name) for name in found):
        found.sort(key=int)
    return tuple(found)


def check_task(name: str, what: str) -> None:
    """Check that `name` can be a task's; messages call it `what`.

    Raises
    ------
    DataError
        It cannot.
    """
    check_name(name, what, DataError)
    if not re.match(TASK_NAME, name):
        raise DataError(f"{what} {name!r}: not a task's name: use {PATTERNS_IN_WORDS[TASK_NAME]}")
    if name in RESERVED_NAMES:
        raise DataError(f"{what} {name!r}: a part of every residual block has that name: rename it")


def check_classes(task: str, classes: Iterable[str], where: Path) -> None:
    """Check class names (`check_name`), and that there are at least two.

    Raises
    ------
    DataError
        One of these does not hold.
    """
    count = 0
    for count, name in enumerate(classes, 1):  # noqa: B007 - counted for the last line
        check_name(name, f"{where}: class of task {task!r}", DataError)
    if count < 2:
        raise DataError(f"{where}: {count or 'no'} class of task {task!r}: at least 2 are needed")


def dataset_name(path: Path) -> str:
    """Return a dataset's name made from that of its file or folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.absolute().stem).strip("-._") or "images"
