"""Check what a training reads and writes: packages, databases, weights, output folders."""

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
from netgen.doctor.findings import DoctorFinding, DoctorRequest, lack, ok
from netgen.network.dataset import MTVSO, DatasetError
from netgen.network.variants import NETWORKS, find

DATABASES = "databases"
MAKE = "make them: see `netgen data --help`"


def examine_databases(request: DoctorRequest) -> list[DoctorFinding]:
    """Run the quick checks of `netgen data verify`; return those that failed."""
    from data_prep.verify import CheckOutcome, verify

    paper_folder = Path(MTVSO.train.images).parent.parent
    if request.dataset is None and not paper_folder.exists():
        what = f"the paper's are not at {paper_folder}"
        return [lack(DATABASES, what, f"{MAKE}; or name another --dataset", needed=False)]
    try:
        checks = verify(request.dataset or paper_folder, quick=True)
    except DatasetError as error:
        return [lack(DATABASES, str(error), MAKE)]
    failed = [check for check in checks if check.outcome is CheckOutcome.FAILED]
    if failed:
        return [lack(DATABASES, f"{check.what}: {check.found}", MAKE) for check in failed]
    counts = [check for check in checks if check.what.endswith(": records")]
    found = ", ".join(f"{check.what.removesuffix(' records')} {check.found}" for check in counts)
    return [ok(DATABASES, f"{found}, aligned (`netgen data verify` checks the images too)")]


# ---- the weights that training starts from (section 5.2: He's ResNet-50, trained on ImageNet) ---

WEIGHTS = "weights"
HE = NETWORKS["resnet50"].weights
# His own links no longer work.
OR = {HE: ", or a conversion of it, such as Keras' (docs/initial-weights.md)"}


def examine_weights(request: DoctorRequest) -> list[DoctorFinding]:
    """Compare a residual network's weights with He's by their SHA-1; report that of others."""
    from netgen.caffe.caffemodel import published_by_he, sha1
    from netgen.weights.incoming.recognize import is_converted

    file = _published(request.variant)
    get = f"get {file}{OR.get(file, '')}"
    if request.weights is None:
        step = f"{get}, then --weights FILE"
        return [lack(WEIGHTS, "none named: training would start from scratch", step, needed=False)]
    try:
        found = sha1(request.weights)
    except OSError as error:
        return [lack(WEIGHTS, f"{request.weights}: {error.strerror}", get)]
    if is_converted(request.weights):
        what = "of another program; `netgen init --from` reads it, and says whether it is known"
        return [ok(WEIGHTS, f"{request.weights}: {what}")]
    if published_by_he(found):
        return [ok(WEIGHTS, f"{request.weights}: He's ResNet-50, byte for byte")]
    if file != HE:
        return [ok(WEIGHTS, f"{request.weights}: SHA-1 {found}; is it that of {file}'s publisher?")]
    what = f"{request.weights}: not He's published ResNet-50 (SHA-1 {found})"
    step = f"`netgen audit --weights {request.weights}` reports what it is; or {get}"
    return [lack(WEIGHTS, what, step, needed=False)]


def _published(name: str) -> str:
    """Return the caffemodel that a network starts from; He's for tasks other than the paper's."""
    try:
        return find(name, list(paper.TASKS)).row.weights
    except ValueError:
        return HE


# ---- Python, and the packages that netgen requires ----------------------------------------------

INSTALL = "`./run setup` in netgen's folder, or `pip install .` in this Python"


def examine_packages(_: DoctorRequest) -> list[DoctorFinding]:
    """Compare every package's version with netgen's requirements."""
    python = f"{platform.python_version()} at {sys.executable}"
    wanted = [Requirement(line) for line in requires("netgen") or []]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [problem for one in wanted if (problem := _problem(one))]
    if wrong:
        packages = lack("packages", "; ".join(wrong), INSTALL)
    else:
        packages = ok("packages", f"the {len(wanted)} that netgen needs")
    return [ok("Python", python), packages]


def _problem(wanted: Requirement) -> str:
    """Return what is wrong with a package; "" if nothing."""
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return f"{wanted.name} is not installed"
    if wanted.specifier.contains(found, prereleases=True):
        return ""
    return f"{wanted.name} is {found}, wanted {wanted.specifier}"


# ---- whether the files that training makes can be written ---------------------------------------

PERMISSIONS = "permissions"


def examine_permissions(request: DoctorRequest) -> list[DoctorFinding]:
    """Write a temporary file into each folder that training writes to."""
    snapshots = request.out / "models" / request.variant / "snapshots"
    built = snapshots.parent / "train_val.prototxt"
    if built.exists() and not snapshots.is_dir():  # Caffe does not make it
        what = f"{snapshots} is not there: Caffe would abort at its first snapshot"
        return [lack(PERMISSIONS, what, f"`mkdir {snapshots}`")]
    folders = [folder for folder in (request.out, snapshots) if folder.is_dir()]
    if not folders:
        what = f"{request.out} is not there"
        return [lack(PERMISSIONS, what, f"`mkdir -p {request.out}`", needed=False)]
    return [_write(folder) for folder in folders]


def _write(folder: Path) -> DoctorFinding:
    user = _user()
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(b"netgen")
    except OSError as error:
        step = f"let {user} write there, or choose another --out"
        return lack(PERMISSIONS, f"{folder.absolute()}: {error.strerror}", step)
    return ok(PERMISSIONS, f"{user} can write to {folder.absolute()}")


def _user() -> str:
    """Return the user's name, or id: in a container, a user may have no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
