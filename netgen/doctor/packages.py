"""Python, and the packages that netgen asks for."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from netgen.doctor.finding import Asked, Finding, lack, ok

INSTALL = "`./run setup` in netgen's folder, or `pip install .` in this Python"


def examine(_: Asked) -> list[Finding]:
    """Hold every package's version against netgen's requirements."""
    python = f"{platform.python_version()} at {sys.executable}"
    wanted = [Requirement(line) for line in requires("netgen") or []]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [trouble for one in wanted if (trouble := _trouble(one))]
    if wrong:
        packages = lack("packages", "; ".join(wrong), INSTALL)
    else:
        packages = ok("packages", f"the {len(wanted)} that netgen needs")
    return [ok("Python", python), packages]


def _trouble(wanted: Requirement) -> str:
    """Say what is wrong with a package, or nothing."""
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return f"{wanted.name} is not installed"
    if wanted.specifier.contains(found, prereleases=True):
        return ""
    return f"{wanted.name} is {found}, wanted {wanted.specifier}"
