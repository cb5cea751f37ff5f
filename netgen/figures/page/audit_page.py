"""The page of an audit: every claim of the paper, filtered; the readings side by side."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from netgen.figures.page.document import page

# A sign beside each verdict's colour, for those who do not see that.
SIGNS = {
    "reproduced": "✓",
    "built as printed": "=",
    "consistent": "≈",
    "contradicted": "✗",
    "contradicted in our copy": "✗",
    "left open": "○",
    "needs training": "…",
    "needs data": "…",
    "not reproduced": "!",
}


def audit_page(audit: Mapping[str, Any], meanings: Mapping[str, str], command: str = "") -> str:
    """Return the page of an audit.

    Parameters
    ----------
    audit
        What `netgen audit --json` prints.
    meanings
        What each verdict means, by its label.
    command
        The command line that makes the page again.
    """
    claims = audit["claims"]
    shown = {claim["id"]: _searched(claim) for claim in claims}
    return page(
        "audit",
        "Audit of the paper's claims",
        {"audit": audit, "texts": shown},
        audit=audit,
        meanings=meanings,
        signs=SIGNS,
        parts=list(dict.fromkeys(claim["part"] for claim in claims)),
        networks=list(dict.fromkeys(name for claim in claims for name in claim["networks"])),
        questions=[(q, list(of)) for q, of in groupby(audit["readings"], lambda x: x["question"])],
        command=command,
    )


def _searched(claim: Mapping[str, Any]) -> str:
    """Return the text of a claim in which words are looked for."""
    fields = ("id", "place", "words", "printed", "found", "fits", "evidence", "verdict")
    return " ".join(str(claim[field]) for field in fields).lower()
