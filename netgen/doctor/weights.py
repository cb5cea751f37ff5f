"""The weights that training starts from (section 5.2: He's ResNet-50, trained on ImageNet)."""

from __future__ import annotations

from netgen.doctor.finding import Asked, Finding, lack, ok

ABOUT = "weights"
GET = "get ResNet-50-model.caffemodel from github.com/KaimingHe/deep-residual-networks"


def examine(asked: Asked) -> list[Finding]:
    """Compare the file with He's, byte for byte by its sum."""
    from netgen.inspection.weights import HE_RESNET50, sha1

    if asked.weights is None:
        step = f"{GET}, then --weights FILE"
        return [lack(ABOUT, "none named: training would start from scratch", step, needed=False)]
    try:
        found = sha1(asked.weights)
    except OSError as error:
        return [lack(ABOUT, f"{asked.weights}: {error.strerror}", GET)]
    if found != HE_RESNET50:
        what = f"{asked.weights}: not He's published ResNet-50 (SHA-1 {found})"
        step = f"`netgen audit --weights {asked.weights}` tells what it is; or {GET}"
        return [lack(ABOUT, what, step, needed=False)]
    return [ok(ABOUT, f"{asked.weights}: He's ResNet-50, byte for byte")]
