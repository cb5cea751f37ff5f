"""Snapshots with a manifest; a snapshot without one is ignored.

Caffe writes ``<name>_iter_<N>.caffemodel`` and ``.solverstate`` under their final names, and on a
full disk they may be cut off; its `restore` even accepts a state that lacks its last byte. So both
are read back, and only then ``<name>_iter_<N>.json`` is renamed into place; it has the files' sizes
and hashes, and the run's state.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from google.protobuf.message import DecodeError
from msgspec import Meta, Struct

from netgen.system.files import MODELS, digest, read_file, sync, write_all
from netgen.system.json_files import JsonError, OtherVersionError, read_json
from netgen.training.fingerprint import EngineFingerprint
from netgen.training.state import TrainingState

VERSION = 1  # of the manifests' form
KINDS = (".caffemodel", ".solverstate")


class SnapshotError(ValueError):
    """A snapshot that cannot be used; the message says which, why and what next."""


class File(Struct, frozen=True, forbid_unknown_fields=True):
    """The size and hash that a file must have."""

    bytes: Annotated[int, Meta(ge=0)]
    sha256: str


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """A snapshot's contents.

    `files` has its two files by name, `net` is the SHA-256 of the network's prototxt, `seed` the
    round's.
    """

    version: int
    files: dict[str, File]
    net: str
    seed: int
    engine: EngineFingerprint
    state: TrainingState


@dataclass(frozen=True)
class Snapshot:
    """A snapshot; its files are in the folder of `path`, its manifest."""

    path: Path
    manifest: Manifest

    @property
    def model(self) -> Path:
        """The weights."""
        return self.path.with_suffix(".caffemodel")

    @property
    def solverstate(self) -> Path:
        """Iteration, momentum and step."""
        return self.path.with_suffix(".solverstate")

    @property
    def iteration(self) -> int:
        """Updates of the weights so far."""
        return self.manifest.state.iteration

    def defect(self) -> str | None:
        """Return what is wrong with its files; None when they are as the manifest says."""
        if not self.path.stem.endswith(f"_iter_{self.iteration}"):  # renamed, or copied over it
            return f"{self.path} is the manifest of iteration {self.iteration:,}"
        for path in (self.model, self.solverstate):
            file = self.manifest.files.get(path.name)
            if file is None:
                return f"{self.path} does not tell of {path.name}"
            if not path.is_file():
                return f"{path} does not exist"
            if path.stat().st_size != file.bytes:
                return f"{path} has {path.stat().st_size:,} bytes instead of {file.bytes:,}"
            if digest(path) != file.sha256:
                return f"{path} has changed since it was written (its SHA-256 differs)"
        return None


def stem(folder: Path, name: str, iteration: int) -> Path:
    """Return the path of a snapshot's files, without their endings."""
    return folder / f"{name}_iter_{iteration}"


def seal(path: Path, manifest: Callable[[dict[str, File]], Manifest]) -> Snapshot:
    """Write the manifest of the two files that Caffe wrote to `path`, given without their endings.

    Raises
    ------
    OSError
        The disk is full, or fails.
    """
    files = [path.with_name(path.name + kind) for kind in KINDS]
    sync(*files)
    hashed = {file.name: File(file.stat().st_size, digest(file)) for file in files}
    whole = manifest(hashed)
    name = path.with_name(path.name + ".json")
    write_all({name: msgspec.json.format(msgspec.json.encode(whole))}, durable=True)
    return Snapshot(name, whole)


def find_all(folder: Path) -> list[Snapshot]:
    """Return the snapshots of a folder that have a manifest, the oldest first; none are verified.

    Raises
    ------
    SnapshotError
        A manifest is damaged, or of another version of netgen.
    """
    found = [Snapshot(path, _read(path)) for path in folder.glob("*_iter_*.json")]
    return sorted(found, key=lambda snapshot: snapshot.iteration)


def newest_whole(folder: Path, on_message: Callable[[str], None]) -> Snapshot | None:
    """Return the newest snapshot whose files are what its manifest says; None if there is none.

    A run gives the same bits from any of its snapshots, so an older one only costs time:
    `on_message` is called with what is wrong with each newer one.
    """
    for snapshot in reversed(find_all(folder)):
        defect = snapshot.defect()
        if defect is None:
            return snapshot
        on_message(f"the snapshot of iteration {snapshot.iteration:,} cannot be used: {defect}")
    return None


def newest_of_caffe(folder: Path) -> Path | None:
    """Return the caffemodel with the highest iteration in its name, as `caffe train` names them.

    Nothing vouches for it; None if there is none.
    """
    numbered = {
        int(found[1]): file
        for file in folder.glob("*.caffemodel")
        if (found := re.search(r"_iter_(\d{1,10})\.caffemodel$", file.name))
    }
    return numbered[max(numbered)] if numbered else None


def remove(path: Path) -> None:
    """Remove a snapshot, given its path without endings; the manifest first."""
    for kind in (".json", *KINDS):
        path.with_name(path.name + kind).unlink(missing_ok=True)


@contextmanager
def removed_on_error(path: Path) -> Iterator[None]:
    """Remove a snapshot that a with block failed to write completely, to free its space."""
    try:
        yield
    except OSError:
        remove(path)
        raise


def remove_unfinished(folder: Path) -> None:
    """Remove the files of snapshots without a manifest."""
    for kind in KINDS:
        for file in folder.glob(f"*_iter_*{kind}"):
            if not file.with_suffix(".json").exists():
                file.unlink()


def prune(folder: Path, keep: int, best: int | None) -> None:
    """Keep the newest `keep` snapshots, and that of iteration `best`."""
    for snapshot in find_all(folder)[:-keep]:
        if snapshot.iteration != best:
            remove(snapshot.path.with_suffix(""))


def require_space(folder: Path, size: int) -> None:
    """Check that `size` bytes fit on a folder's disk.

    Raises
    ------
    OSError
        They do not fit.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        what = f"{os.strerror(errno.ENOSPC)} for a snapshot ({size:,} bytes, {free:,} are free)"
        raise OSError(errno.ENOSPC, what, str(folder))


def check_written(path: Path, blobs: dict[str, list[int]]) -> None:
    """Read back the two files that Caffe wrote, and check that both are complete.

    Parameters
    ----------
    path
        Their path, without the endings.
    blobs
        Layer -> the sizes of its parameter blobs.

    Raises
    ------
    OSError
        A file was cut off, as by a full disk.
    """
    from netgen.caffe.caffe_pb2 import NetParameter, SolverState

    model, state = (path.with_name(path.name + kind) for kind in KINDS)
    net = _parsed(NetParameter(), model)
    found = {layer.name: [len(blob.data) for blob in layer.blobs] for layer in net.layer}
    if {name: sizes for name, sizes in found.items() if sizes} != blobs:
        raise _cut_off(model)
    # Caffe always writes this field, and writes it after the momentum.
    if not _parsed(SolverState(), state).HasField("current_step"):
        raise _cut_off(state)


def _parsed(message: Any, path: Path) -> Any:
    try:
        message.ParseFromString(read_file(path, MODELS))
    except DecodeError:
        raise _cut_off(path) from None
    return message


def _cut_off(path: Path) -> OSError:
    return OSError(errno.ENOSPC, "Caffe's snapshot was cut off: is the disk full?", str(path))


def _read(path: Path) -> Manifest:
    try:
        return read_json(path, Manifest, VERSION)
    except OtherVersionError as error:
        raise SnapshotError(
            f"{path}: in {error}: resume with the netgen that began the run"
        ) from None
    except JsonError as error:
        raise SnapshotError(
            f"{path}: not a snapshot's manifest ({error}): remove it to use an older snapshot"
        ) from None
