"""A page: a template of `web/` with its data, style and program, which loads nothing.

What comes from outside (names, paths, quotes) is escaped by the templates, and in the data so that
nothing in it ends the element that holds them. The content security policy of the page forbids
every request, and every program and style but the two of `web/`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netgen.system.text import MIB, escaped, shape_text

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

WEB = Path(__file__).parent / "web"
MARKS = re.compile(
    r"`(?P<code>[^`\n]{1,200})`|\*\*(?P<strong>[^*\n]{1,500})\*\*|\*(?P<em>[^*\s][^*\n]{0,500})\*"
    r"|\[`?(?P<link>[^\[\]`]{1,200})`?\]\([^()\s]{1,500}\)"
)
IN_SCRIPT = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def page(
    template: str,
    title: str,
    data: Mapping[str, Any],
    programs: Sequence[str] | None = None,
    **values: object,
) -> str:
    """Return a page's HTML; the same for the same arguments.

    Parameters
    ----------
    template
        The name of a template of `web/`, without its suffix.
    title
        In the window's title and at the top.
    data
        What the page's program reads, as JSON has it.
    programs
        The names of the programs of `web/`, beside what all pages share; by default the template's.
    values
        What only the template reads.
    """
    named = [template] if programs is None else programs
    style, program = _web("page.css"), "".join(_web(f"{name}.js") for name in ("page", *named))
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none';"
        f" style-src '{_hash(style)}'; script-src '{_hash(program)}'"
    )
    return (
        _environment()
        .get_template(f"{template}.html.j2")
        .render(
            title=title, policy=policy, style=style, program=program, data=data_text(data), **values
        )
    )


def data_text(data: object) -> str:
    """Return data as JSON that is safe inside ``<script>``: without <, >, &, and in ASCII."""
    return json.dumps(_shown(data), separators=(",", ":")).translate(IN_SCRIPT)


def _shown(value: object) -> object:
    """Return data in which names are written as messages write them: see `escaped`."""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, Mapping):
        return {escaped(str(key)): _shown(inner) for key, inner in value.items()}
    return [_shown(inner) for inner in value] if isinstance(value, list | tuple) else value


@cache
def _web(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the name that a content security policy has for an inline style or program."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(WEB),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
        finalize=_as_shown,
    )
    environment.filters["coded"] = _coded
    environment.filters["marked"] = _marked
    environment.filters["number"] = _number
    environment.filters["bytes"] = _bytes
    environment.filters["shape"] = _shape
    return environment


def _as_shown(value: object) -> object:
    """Return what a template is about to escape; a `str` of its own kind is marked as safe."""
    return escaped(value) if type(value) is str else value


def _coded(text: str) -> Markup:
    """Return a text in which what stands between backticks is code."""
    from markupsafe import Markup, escape

    parts = [escape(escaped(part)) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part
        for index, part in enumerate(parts)
    )


def _marked(text: str) -> Markup:
    """Return Markdown's code, bold and slanted words as HTML; of its links, the text."""
    from markupsafe import Markup, escape

    parts, end = [], 0
    for found in MARKS.finditer(text):
        parts.append(escape(escaped(text[end : found.start()])))
        tag, inner = next((tag, words) for tag, words in found.groupdict().items() if words)
        whole = "{}" if tag == "link" else f"<{tag}>{{}}</{tag}>"
        parts.append(Markup(whole).format(escaped(inner)))
        end = found.end()
    return Markup("").join([*parts, escape(escaped(text[end:]))])


def _number(value: float) -> str:
    return f"{value:,}"


def _bytes(value: int) -> str:
    return f"{value:,}" + (f" ({value / MIB:,.1f} MiB)" if value >= MIB / 10 else "")


def _shape(shape: tuple[int, ...] | None) -> str:
    return "unknown" if shape is None else shape_text(shape).replace(" x ", " × ")
