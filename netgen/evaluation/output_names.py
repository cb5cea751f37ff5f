"""Match outputs to classes by name, for a network with more outputs than the task has classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from netgen.evaluation.tally import Ints
from netgen.network.dataset import Dataset, class_names
from netgen.system.files import read_text_file
from netgen.system.text import check_name, listed, names_in

SHOWN = 10  # names that a message lists


class NamingError(ValueError):
    """Output names that do not match the network or the dataset; the message says what to do."""


def read_outputs(file: Path) -> list[str]:
    """Read the names of a network's outputs, one per line; or a JSON list of them.

    DeepSentiBank's list is published as JSON.

    Raises
    ------
    NamingError
        It cannot be read, or two names are the same.
    """
    try:
        text = read_text_file(file)
        is_json = file.suffix == ".json"
        names = (
            msgspec.json.decode(text, type=list[str])
            if is_json
            else names_in(text, str(file), NamingError)
        )
    except (OSError, UnicodeDecodeError, RecursionError, msgspec.DecodeError) as error:
        raise NamingError(
            f"{file}: {error}: give a text file, one class name per line, or a JSON list"
        ) from None
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        check_name(name, f"{file}, name {number}", NamingError)
        first = seen.setdefault(plain(name), number)
        if first != number:
            raise NamingError(f"{file}: names {first} and {number} are the same, {name!r}")
    return names


def plain(name: str) -> str:
    """Return a name as names are compared: without case, and with single spaces between words.

    ``Happy_Dog``, ``happy-dog`` and ``happy  dog`` are the same name.
    """
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def columns(dataset: Dataset, task: str, outputs: Sequence[str], file: Path) -> Ints:
    """Return the index of the output for each class of a task.

    Raises
    ------
    NamingError
        The dataset does not name its classes, or some of them are not outputs.
    """
    names = class_names(dataset.task(task))
    if names is None:
        raise NamingError(
            f"{dataset.name} does not name the classes of {task}: give `names` in its dataset.toml,"
            " or --dataset"
        )
    places = {plain(name): place for place, name in enumerate(outputs)}
    lacking = [name for name in names if plain(name) not in places]
    if lacking:
        shown = listed([repr(name) for name in lacking], SHOWN)
        raise NamingError(
            f"{file}: {len(lacking)} of the {len(names)} classes of {task} are not in it: {shown}"
        )
    return np.array([places[plain(name)] for name in names])
