"""Class lists, written as the public ones are named, and generated changes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from netgen.audit.measurements import AuditInputs
from netgen.audit.measurements.public_lists import LISTS, labels


def list_changes(real: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Folders with class lists of which one, or all, are halved, reduced, or another list."""
    whole = {name: labels(AuditInputs(real), name) for name in LISTS}
    ways: dict[str, Callable[[list[str]], list[str]]] = {
        "first half": lambda x: x[: len(x) // 2],
        "second half": lambda x: x[len(x) // 2 :],
        "of one noun": lambda x: [y for y in x if y.endswith(x[0].rpartition("_")[2])],
        "less one": lambda x: x[:-1],
    }
    for what, way in ways.items():
        yield what, write_lists(folder / what, {name: way(found) for name, found in whole.items()})
        for name, found in whole.items():
            changed = whole | {name: way(found)}
            yield f"{name}, {what}", write_lists(folder / f"{name} {what}", changed)
    nouns = sorted({pair.partition("_")[2] for pair in whole["1200"]})
    for name, other in (("1200", whole["anp"]), ("anp", whole["1200"]), ("noun", nouns)):
        yield f"another {name}", write_lists(folder / f"other {name}", whole | {name: other})


def write_lists(folder: Path, lists: dict[str, list[str]]) -> Path:
    """Write class lists under their names; VSO's long list as one pair per line."""
    for name, found in lists.items():
        file = folder / LISTS[name].file
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(found) if file.suffix == ".json" else "\n".join(found)
        file.write_text(text, encoding="utf-8")
    return folder
