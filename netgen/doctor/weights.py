"""The weights that training starts from (section 5.2: He's ResNet-50, trained on ImageNet)."""

from __future__ import annotations

from netgen import paper
from netgen.doctor.finding import Asked, Finding, lack, ok
from netgen.variants import NETWORKS, find

ABOUT = "weights"
HE = NETWORKS["resnet50"].weights
FROM = {HE: " from github.com/KaimingHe/deep-residual-networks"}


def examine(asked: Asked) -> list[Finding]:
    """Compare a residual network's with He's, byte for byte by their sum; tell others' sum."""
    from netgen.inspection.weights import HE_RESNET50, sha1

    file = _published(asked.variant)
    get = f"get {file}{FROM.get(file, '')}"
    if asked.weights is None:
        step = f"{get}, then --weights FILE"
        return [lack(ABOUT, "none named: training would start from scratch", step, needed=False)]
    try:
        found = sha1(asked.weights)
    except OSError as error:
        return [lack(ABOUT, f"{asked.weights}: {error.strerror}", get)]
    if found == HE_RESNET50:
        return [ok(ABOUT, f"{asked.weights}: He's ResNet-50, byte for byte")]
    if file != HE:
        return [ok(ABOUT, f"{asked.weights}: SHA-1 {found}; is it that of {file}'s publisher?")]
    what = f"{asked.weights}: not He's published ResNet-50 (SHA-1 {found})"
    step = f"`netgen audit --weights {asked.weights}` tells what it is; or {get}"
    return [lack(ABOUT, what, step, needed=False)]


def _published(name: str) -> str:
    """Return the caffemodel that a network starts from; He's, for one of other tasks than ours."""
    try:
        return find(name, list(paper.TASKS)).row.weights
    except ValueError:
        return HE
