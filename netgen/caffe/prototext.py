"""Parse protobuf's text format: errors have a line and column, unknown fields are listed.

protobuf either stops at the first unknown field or skips all of them without a message. Here it
skips them, and a scan of the text's braces finds them.
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.message import Message
from google.protobuf.text_format import Parse, ParseError

# When protobuf skips unknown fields, its time grows with the square of a line's length.
LONGEST_LINE = 20_000
LONGEST_MESSAGE = 200
# Braces and colons in strings and comments do not count: both are blanked before the scan.
OPAQUE = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""")
FIELD = re.compile(r"(?<!\w)([A-Za-z_]\w*)\s*(?::?\s*([{<])|:)|([{<])|([}>])")


class EmptyError(ValueError):
    """The text has only white space and comments."""


def parse(text: str, message: Message) -> dict[str, int]:
    """Parse text into a message: strictly, or without unknown fields if they are its only fault.

    Parameters
    ----------
    text
        protobuf's text format.
    message
        An empty message, which is filled.

    Returns
    -------
    dict of str to int
        The omitted fields, only the outermost ones: `Message.field` to its first line.

    Raises
    ------
    EmptyError
        When there is nothing to parse.
    ValueError
        When the text is not valid: `line:column: what: what next`.
    """
    if not OPAQUE.sub("", text).strip():
        raise EmptyError
    try:
        _parse(text, message, tolerant=False)
    except ValueError:
        unknown = _unknown_fields(text, message)
        if not unknown or max(map(len, text.splitlines())) > LONGEST_LINE:
            raise
        message.Clear()
        _parse(text, message, tolerant=True)
        return unknown
    return {}


def _parse(text: str, message: Message, tolerant: bool) -> None:
    try:
        Parse(text, message, allow_unknown_field=tolerant)
    except ParseError as error:
        # protobuf's message is `12:3 : 'the whole line': Enum type "netgen.caffe.X" has no ...`
        what = re.sub(r"^[\d:\s]+('.*': )?", "", str(error)).replace("netgen.caffe.", "")
        what = what.rstrip(".") if len(what) < LONGEST_MESSAGE else what[:LONGEST_MESSAGE] + " …"
        place = f"{error.GetLine() or 1}:{error.GetColumn() or 1}"
        raise ValueError(f"{place}: {what}: correct it there; is the file whole?") from None
    except RecursionError:
        raise ValueError("1: nested too deeply: is it a network or a solver?") from None


def _unknown_fields(text: str, root: Message) -> dict[str, int]:
    """Find the outermost fields the schema does not have: `Message.field` to its first line."""
    unknown: dict[str, int] = {}
    blank = OPAQUE.sub(lambda match: " " * len(match.group()), text)
    inner: Any = root.DESCRIPTOR  # of one of two classes, as protobuf was built
    messages = [inner]  # those that are open; None where already unknown
    line, seen = 1, 0
    for match in FIELD.finditer(blank):
        name, opens, opens_bare, closes = match.groups()
        if closes:
            inner = messages.pop() if len(messages) > 1 else None
        if name and (here := messages[-1]):
            field = here.fields_by_name.get(name)
            inner = field.message_type if field else None
            if not field:
                line, seen = line + blank.count("\n", seen, match.start()), match.start()
                unknown.setdefault(f"{here.name}.{name}", line)
        elif name:
            inner = None
        if opens or opens_bare:
            messages.append(inner)
    return unknown
