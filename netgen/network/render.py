"""Render the templates with one strict Jinja environment: an undefined name is an error."""

from __future__ import annotations

import json
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: object) -> str:
    """Return the text of ``templates/<template>.j2`` with `values` filled in.

    Raises
    ------
    jinja2.UndefinedError
        The template names something that `values` does not hold.
    """
    return _environment().get_template(f"{template}.j2").render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_templates()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # prototxt, not HTML
    )
    environment.filters["string_literal"] = _string_literal
    environment.filters["quoted"] = shlex.quote
    return environment


def _string_literal(text: str) -> str:
    """Return `text` as protobuf's text format quotes it, whatever a user's path may hold."""
    return json.dumps(text, ensure_ascii=False)


def _templates() -> Path:
    """Return the templates' folder: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"
