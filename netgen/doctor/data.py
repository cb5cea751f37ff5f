"""Databases: there, readable, of the right size and aligned. Their images are not looked at."""

from __future__ import annotations

from pathlib import Path

from netgen.dataset import MTVSO, DatasetError
from netgen.doctor.finding import Asked, Finding, lack, ok

ABOUT = "databases"
MAKE = "`netgen data --help` tells how databases are made"


def examine(asked: Asked) -> list[Finding]:
    """Make the quick checks of `netgen data verify`, and tell those that failed."""
    from data_prep.verify import Verdict, verify

    papers = Path(MTVSO.train.images).parent.parent
    if asked.dataset is None and not papers.exists():
        what = f"the paper's are not at {papers}"
        return [lack(ABOUT, what, f"{MAKE}; or name another --dataset", needed=False)]
    try:
        checks = verify(asked.dataset or papers, quick=True)
    except DatasetError as error:
        return [lack(ABOUT, str(error), MAKE)]
    failed = [check for check in checks if check.verdict is Verdict.FAILED]
    if failed:
        return [lack(ABOUT, f"{check.what}: {check.found}", MAKE) for check in failed]
    counts = [check for check in checks if check.what.endswith(": records")]
    found = ", ".join(f"{check.what.removesuffix(' records')} {check.found}" for check in counts)
    return [ok(ABOUT, f"{found}, aligned (`netgen data verify` looks at the images, too)")]
