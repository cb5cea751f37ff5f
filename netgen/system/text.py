"""How numbers, sizes, shapes and names are written in messages, and which names are refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

MOST_NAMES = 3
# What a name cannot hold: control characters (terminals obey them), ends of lines, bidirectional
# embeddings, overrides and isolates (they show it as another), U+FEFF (a byte order mark, where a
# file begins with it), and what no UTF-8 or XML (an SVG) can.
REFUSED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # the last four are full-width
MIB, GIB = 2**20, 2**30  # bytes


def listed(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """Write the first few names and the number of the rest: "a, b, c and 12 more"."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def unique_names(names: Sequence[str]) -> list[str]:
    """Return a name for each that no other has: its own, with a number where two share it."""
    taken, times = set(names), Counter[str]()
    found = []
    for name in names:
        times[name] += 1
        if times[name] == 1:
            found.append(name)
            continue
        while (numbered := f"{name} ({times[name]})") in taken:
            times[name] += 1
        taken.add(numbered)
        found.append(numbered)
    return found


def check_name(name: str, where: str, error: type[ValueError] = ValueError) -> None:
    """Check the name of a class, task or layer that comes from outside; `where` says from where.

    Raises
    ------
    ValueError
        It has characters of `REFUSED`; of the type `error`.
    """
    if REFUSED.search(name):
        raise error(
            f"{printable(where)}: the name '{printable(name)}' has characters that are not shown,"
            " or change how others are (control characters, bidirectional overrides, bytes that"
            " are not UTF-8): rename it"
        )


def escaped(text: str) -> str:
    r"""Write what :func:`check_name` refuses, except ends of lines, as Python does: \\x1b."""
    return REFUSED.sub(
        lambda found: found[0] if found[0] == "\n" else found[0].encode("unicode_escape").decode(),
        text,
    )


def cell(text: str) -> str:
    """Write a field for CSV so that no spreadsheet runs it; :func:`from_cell` undoes it.

    What begins with = + - @, a tab or an end of line gets an apostrophe ahead, as OWASP advises; so
    does what begins with apostrophes before one of these.
    """
    return f"'{text}" if FORMULA.match(text) else text


def from_cell(text: str) -> str:
    """Return what :func:`cell` wrote."""
    return text[1:] if text[:1] == "'" and FORMULA.match(text) else text


def json_text(text: str) -> str:
    """Return a text of JSON with what a terminal obeys as JSON's own escapes: the same data."""
    return REFUSED.sub(
        lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text
    )


def names_in(text: str, where: str, error: type[ValueError] = ValueError) -> list[str]:
    """Return the names in a text with one per line, checked as by :func:`check_name`."""
    names = text.split("\n")
    if not names[-1]:  # after the last line's end
        del names[-1]
    for line, name in enumerate(names, 1):
        check_name(name, f"{where}:{line}", error)
    return names


def printable(text: str) -> str:
    r"""Write what a terminal would obey, not show, as Python writes it: a line's end as \\n."""
    return "".join(x if x.isprintable() else x.encode("unicode_escape").decode() for x in text)


def shape_text(shape: Sequence[int]) -> str:
    """Write a shape for a message: 24 x 3 x 224 x 224."""
    return " x ".join(map(str, shape)) or "scalar"


def gib(size: float) -> float:
    """Return bytes in GiB."""
    return size / GIB


def value_text(value: object) -> str:
    """Write a value for a message: 0.999 also for the single-precision number closest to it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        same = len(set(value)) == 1
        return value_text(value[0]) if same else ", ".join(map(value_text, value)) or "nothing"
    return "nothing" if value is None else str(value)
