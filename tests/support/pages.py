"""Making pages in tests, and reading what is in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from netgen.commands.cli import main

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def printed(*words: object) -> str:
    """What a command prints on standard output."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def counted(*words: object) -> dict[str, Any]:
    """What `netgen count --json` prints."""
    return dict(json.loads(printed("count", *words, "--json")))


def made(file: Path, *words: object) -> Path:
    """Make a page with `netgen page`; return its file."""
    assert printed("page", *words, "--out", file) == f"{file.as_posix()}\n"
    return file


def data_of(file: Path) -> dict[str, Any]:
    """What a page's program reads."""
    (found,) = DATA.findall(file.read_text(encoding="utf-8"))
    return dict(json.loads(found))


def without_memory(layer: dict[str, Any]) -> dict[str, Any]:
    """A layer as a page has it, without what it adds to `netgen count --json`."""
    return {
        name: value for name, value in layer.items() if name not in ("memory_bytes", "prototxt")
    }
