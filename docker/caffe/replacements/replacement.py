"""One edit of Caffe's sources, and the making of several: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Replacement:
    """One edit: in ``file``, ``old`` becomes ``new``.

    ``unneeded_if`` are texts of the file in trees that are right already; none where every tree
    needs the edit. A tree that lacks an ``optional`` file needs no edit of it.

    In the tables, "1.0" is BVLC's Caffe 1.0 (Debian's 99bd997, and 9b89154 of 2020), "2016" is
    BVLC's of June 2016 (f28f5ae), and "pypi" is the source of that name in source.sh.
    """

    why: str
    file: str
    old: str
    new: str
    unneeded_if: tuple[str, ...] = ()
    optional: bool = False


class UnexpectedSourceError(Exception):
    """A source that holds neither what a replacement looks for nor what makes it unneeded."""


def mend(text: str, replacement: Replacement) -> tuple[str, bool]:
    """Give the text after one replacement, and whether it was needed."""
    # First, because a tree that is right already may hold the old text too, in another place.
    if any(sign in text for sign in replacement.unneeded_if):
        return text, False
    found = text.count(replacement.old)
    if found == 1:
        return text.replace(replacement.old, replacement.new), True
    raise UnexpectedSourceError(
        f"{replacement.file}: expected once, found {found} times:\n{replacement.old.rstrip()}\n"
        f"(wanted, so that {replacement.why})"
    )


def mend_tree(tree: Path, rows: Iterable[Replacement]) -> list[str]:
    """Make every replacement in ``tree``, or none; give a line on each for the build's log."""
    texts: dict[Path, str] = {}
    report = []
    for replacement in rows:
        path = tree / replacement.file
        if replacement.optional and not path.exists():
            report.append(f"right already: {replacement.why}")
            continue
        try:
            text = texts.get(path) or path.read_text(encoding="utf-8")
        except OSError as error:
            raise UnexpectedSourceError(f"{replacement.file}: {error.strerror}") from error
        texts[path], needed = mend(text, replacement)
        report.append(f"{'mended' if needed else 'right already'}: {replacement.why}")
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return report
