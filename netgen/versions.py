"""Which versions of what computed something: a result without them cannot be repeated."""

from __future__ import annotations

import platform
from importlib.metadata import version

PACKAGES = ("netgen", "numpy", "protobuf")


def versions(engine: str, engines: str) -> dict[str, str]:
    """Return the versions of this Python and its packages, and `engine` with its own, `engines`."""
    found = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return found | {engine: engines}
