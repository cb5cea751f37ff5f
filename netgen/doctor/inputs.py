"""What a training reads and writes: packages, databases, initial weights, output folders."""

from __future__ import annotations

import os
import platform
import pwd
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from tempfile import TemporaryFile

from packaging.requirements import Requirement

from netgen import paper
from netgen.doctor.probe import Asked, Finding, lack, ok
from netgen.network.dataset import MTVSO, DatasetError
from netgen.network.variants import NETWORKS, find

DATABASES = "databases"
MAKE = "`netgen data --help` tells how databases are made"


def examine_databases(asked: Asked) -> list[Finding]:
    """Make the quick checks of `netgen data verify`, and tell those that failed."""
    from data_prep.verify import CheckOutcome, verify

    papers = Path(MTVSO.train.images).parent.parent
    if asked.dataset is None and not papers.exists():
        what = f"the paper's are not at {papers}"
        return [lack(DATABASES, what, f"{MAKE}; or name another --dataset", needed=False)]
    try:
        checks = verify(asked.dataset or papers, quick=True)
    except DatasetError as error:
        return [lack(DATABASES, str(error), MAKE)]
    failed = [check for check in checks if check.outcome is CheckOutcome.FAILED]
    if failed:
        return [lack(DATABASES, f"{check.what}: {check.found}", MAKE) for check in failed]
    counts = [check for check in checks if check.what.endswith(": records")]
    found = ", ".join(f"{check.what.removesuffix(' records')} {check.found}" for check in counts)
    return [ok(DATABASES, f"{found}, aligned (`netgen data verify` looks at the images, too)")]


# ---- the weights that training starts from (section 5.2: He's ResNet-50, trained on ImageNet) ---

WEIGHTS = "weights"
HE = NETWORKS["resnet50"].weights
FROM = {HE: " from github.com/KaimingHe/deep-residual-networks"}


def examine_weights(asked: Asked) -> list[Finding]:
    """Compare a residual network's with He's, byte for byte by their sum; tell others' sum."""
    from netgen.caffe.caffemodel import HE_RESNET50, sha1

    file = _published(asked.variant)
    get = f"get {file}{FROM.get(file, '')}"
    if asked.weights is None:
        step = f"{get}, then --weights FILE"
        return [lack(WEIGHTS, "none named: training would start from scratch", step, needed=False)]
    try:
        found = sha1(asked.weights)
    except OSError as error:
        return [lack(WEIGHTS, f"{asked.weights}: {error.strerror}", get)]
    if found == HE_RESNET50:
        return [ok(WEIGHTS, f"{asked.weights}: He's ResNet-50, byte for byte")]
    if file != HE:
        return [ok(WEIGHTS, f"{asked.weights}: SHA-1 {found}; is it that of {file}'s publisher?")]
    what = f"{asked.weights}: not He's published ResNet-50 (SHA-1 {found})"
    step = f"`netgen audit --weights {asked.weights}` tells what it is; or {get}"
    return [lack(WEIGHTS, what, step, needed=False)]


def _published(name: str) -> str:
    """Return the caffemodel that a network starts from; He's, for one of other tasks than ours."""
    try:
        return find(name, list(paper.TASKS)).row.weights
    except ValueError:
        return HE


# ---- Python, and the packages that netgen asks for ----------------------------------------------

INSTALL = "`./run setup` in netgen's folder, or `pip install .` in this Python"


def examine_packages(_: Asked) -> list[Finding]:
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


# ---- whether the files that training makes can be written ---------------------------------------

PERMISSIONS = "permissions"


def examine_permissions(asked: Asked) -> list[Finding]:
    """Write a file where each kind of output goes, and take it away again."""
    snapshots = asked.out / "models" / asked.variant / "snapshots"
    built = snapshots.parent / "train_val.prototxt"
    if built.exists() and not snapshots.is_dir():  # Caffe does not make it, and aborts
        what = f"{snapshots} is not there: Caffe would end at its first snapshot"
        return [lack(PERMISSIONS, what, f"`mkdir {snapshots}`")]
    places = [place for place in (asked.out, snapshots) if place.is_dir()]
    if not places:
        return [
            lack(PERMISSIONS, f"{asked.out} is not there", f"`mkdir -p {asked.out}`", needed=False)
        ]
    return [_write(place) for place in places]


def _write(place: Path) -> Finding:
    user = _user()
    try:
        with TemporaryFile(dir=place) as file:
            file.write(b"netgen")
    except OSError as error:
        step = f"have its owner let {user} write there, or choose another --out"
        return lack(PERMISSIONS, f"{place.absolute()}: {error.strerror}", step)
    return ok(PERMISSIONS, f"{user} can write to {place.absolute()}")


def _user() -> str:
    """Return the user's name; in a container, a user may have none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
