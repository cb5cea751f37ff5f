"""One strict Jinja environment, and files that are written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: object) -> str:
    """Return the text of ``templates/<template>.j2`` with `values` in its holes.

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
    return environment


def _string_literal(text: str) -> str:
    """Return `text` as protobuf's text format quotes it, whatever a user's path may hold."""
    return json.dumps(text, ensure_ascii=False)


def _templates() -> Path:
    """Return the templates' folder: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


def write_all(texts: Mapping[Path, str]) -> None:
    """Write every text to its path, or none: an error leaves the files on disk as they were.

    Raises
    ------
    OSError
        A folder or file could not be written.
    """
    written: list[tuple[Path, Path]] = []
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(
                "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
            ) as file:
                written.append((Path(file.name), path))
                file.write(text)
            Path(file.name).chmod(0o666 & ~_umask())  # temporary files are their owner's alone
        for temporary, path in written:
            temporary.replace(path)
    except BaseException:
        for temporary, _ in written:
            temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
