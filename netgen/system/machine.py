"""Which versions of what computed something: a result without them cannot be repeated."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("netgen", "numpy", "protobuf")


def versions(engine: str, engines: str) -> dict[str, str]:
    """Return the versions of this Python and its packages, and `engine` with its own, `engines`."""
    found = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return found | {engine: engines}


def commit() -> str:
    """Return the commit of this netgen, "… with changes" if it has any; "unknown" without git."""
    folder = Path(__file__).parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return f"{head} with changes" if _git(folder, "status", "--porcelain", "-uno") else head
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> str:
    """Return what computes, in words: the processor, and how many of its cores there are."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {platform.system()}"


def _git(folder: Path, *words: str) -> str:
    called = subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return called.stdout.strip()
