"""Output on terminals that have only ASCII, or another small set of characters."""

from __future__ import annotations

import codecs
import sys
import unicodedata

HANDLER = "netgen.degrade"
# What netgen writes itself, in ASCII; the rest of these is found by decomposing.
IN_ASCII = {
    "×": "x", "→": "->", "←": "<-", "≥": ">=", "≤": "<=", "±": "+-", "–": "-", "—": "-", "−": "-",
    "·": "*", "“": '"', "”": '"', "‘": "'", "’": "'", "✓": "+", "✗": "-", "≈": "~", "∞": "inf",
    "━": "-", "─": "-", "│": "|", "╸": "-", "╺": "-", "•": "*", "α": "alpha",
}  # fmt: skip


def degrade_output() -> None:
    """Make standard output and error write what they cannot encode in ASCII, instead of failing."""
    codecs.register_error(HANDLER, _degrade)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:  # not of a stream that a test put in its place
            reconfigure(errors=HANDLER)


def _degrade(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(sign: str) -> str:
    plain = IN_ASCII.get(sign) or unicodedata.normalize("NFKC", sign)  # a small one: 1
    return plain if plain.isascii() else sign.encode("unicode_escape").decode()
