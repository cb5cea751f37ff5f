"""Running the recipe's scripts in tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from support.paths import ROOT

VENV = Path(sys.prefix)
# The sources with a name, and the SHA-256 of each.
SOURCES: dict[str, str] = {
    name.lower(): digest
    for name, digest in re.findall(
        r"^(\w+)_SHA256=(\w+)$", (ROOT / "docker/caffe/source.sh").read_text(), re.MULTILINE
    )
}
BUILD = "docker/caffe/build.sh"


def kept_source(name: str) -> Path | None:
    """The tar file of a source with a name, where a set-up on this machine has fetched it."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("NETGEN_CACHE") or home / "netgen")
    return next((cache / "sources" / SOURCES[name]).glob("*.tar.gz"), None)


def run(
    *command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a child that may fail, with ``env`` added to the environment, and give what it said."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def bash(script: str, *, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a script that must succeed, and give its output."""
    result = run("/bin/bash", "-euc", script, cwd=cwd, env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def write_program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)
