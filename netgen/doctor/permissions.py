"""Whether the files that training makes can be written."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from tempfile import TemporaryFile

from netgen.doctor.finding import Asked, Finding, lack, ok

ABOUT = "permissions"


def examine(asked: Asked) -> list[Finding]:
    """Write a file where each kind of output goes, and take it away again."""
    snapshots = asked.out / "models" / asked.variant / "snapshots"
    built = snapshots.parent / "train_val.prototxt"
    if built.exists() and not snapshots.is_dir():  # Caffe does not make it, and aborts
        what = f"{snapshots} is not there: Caffe would end at its first snapshot"
        return [lack(ABOUT, what, f"`mkdir {snapshots}`")]
    places = [place for place in (asked.out, snapshots) if place.is_dir()]
    if not places:
        return [lack(ABOUT, f"{asked.out} is not there", f"`mkdir -p {asked.out}`", needed=False)]
    return [_write(place) for place in places]


def _write(place: Path) -> Finding:
    user = _user()
    try:
        with TemporaryFile(dir=place) as file:
            file.write(b"netgen")
    except OSError as error:
        step = f"have its owner let {user} write there, or choose another --out"
        return lack(ABOUT, f"{place.absolute()}: {error.strerror}", step)
    return ok(ABOUT, f"{user} can write to {place.absolute()}")


def _user() -> str:
    """Return the user's name; in a container, a user may have none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
