"""Containers of the images that `./run images` built, run by runc, which Docker runs them with too.

Each has processes, mounts and a network of its own: of the latter, nothing but its loopback. The
image itself cannot be written to; /tmp is empty, and /work is the folder that is mounted there.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHORT, LONG = 60, 600  # seconds: last limits
INIT = "runc:[2:INIT]"  # the name of a container's first process until the command takes its place
_numbers = itertools.count()


@dataclass(frozen=True)
class Store:
    """Where buildah keeps the images, and runc its state."""

    folder: Path
    driver: str

    def buildah(self, *words: str) -> str:
        """Run buildah, which has to succeed; return what it printed."""
        done = subprocess.run(
            ["buildah", "--root", self.folder / "storage", "--runroot", self.folder / "run/storage",
             "--storage-driver", self.driver, *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def runc(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run runc; its output and errors are both in `stdout`."""
        return subprocess.run(
            ["runc", "--root", self.folder / "run/runc", *words], text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LONG,
        )  # fmt: skip


@dataclass(frozen=True)
class Image:
    """An image: its files, and what it says of how it is run."""

    store: Store
    root: Path
    settings: dict[str, Any]

    def run(self, *words: str, work: Path, user: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command, as `docker run` does, to its end; output and errors are in `stdout`."""
        with self.container(*words, work=work, user=user) as container:
            container.start()
            code = container.wait()
        return subprocess.CompletedProcess(words, code, container.said(), "")

    @contextmanager
    def container(self, *words: str, work: Path, user: str = "") -> Iterator[Container]:
        """Create a container; it is gone afterwards."""
        name = f"netgen-{os.getpid()}-{next(_numbers)}"
        bundle = self.store.folder / "run/bundles" / name
        bundle.mkdir(parents=True)
        container = Container(self, name, bundle)
        self.store.runc("spec", "--bundle", bundle)
        spec = json.loads((bundle / "config.json").read_text())
        (bundle / "config.json").write_text(json.dumps(self._specified(spec, words, work, user)))
        try:
            yield container
        finally:
            container.remove()

    def _specified(
        self, spec: dict[str, Any], words: Sequence[str], work: Path, user: str
    ) -> dict[str, Any]:
        entrypoint = self.settings.get("Entrypoint") or []
        command = list(words) or self.settings.get("Cmd") or []
        uid, gid = (user or self.settings["User"]).split(":")
        spec["root"] = {"path": str(self.root), "readonly": True}
        spec["process"] |= {
            "terminal": False, "args": [*entrypoint, *command], "env": self.settings["Env"],
            "cwd": self.settings["WorkingDir"], "user": {"uid": int(uid), "gid": int(gid)},
        }  # fmt: skip
        spec["mounts"] += [
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]},
            {"destination": "/work", "type": "bind", "source": str(work), "options": ["rbind"]},
        ]
        spec["linux"]["cgroupsPath"] = f"/netgen-images/{os.getpid()}-{next(_numbers)}"
        return spec


@dataclass
class Container:
    """A container; `start` and what follows are called by tests, `remove` by `Image.container`."""

    image: Image
    name: str
    bundle: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start its command; `runc run` waits for it and ends as it does."""
        with (self.bundle / "said").open("wb") as said:
            self.process = subprocess.Popen(
                ["runc", "--root", self.image.store.folder / "run/runc", "run",
                 "--bundle", self.bundle, self.name],
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def said(self) -> str:
        return (self.bundle / "said").read_text(errors="replace")

    def wait(self, seconds: float = LONG) -> int:
        """Wait for its end; return its exit status, which is 128 and more after a signal."""
        assert self.process is not None
        return self.process.wait(seconds)

    def wait_until(self, happened: Callable[[], bool], seconds: float = SHORT) -> None:
        """Wait for an event, which has to come while this runs."""
        assert self.process is not None
        limit = time.monotonic() + seconds
        while not happened():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < limit, self.said()
            time.sleep(0.002)

    def first_process(self) -> int:
        """Its first process, as this machine numbers it; 0 before that is the command's."""
        state = self.image.store.runc("state", self.name)
        pid = int(json.loads(state.stdout)["pid"]) if state.returncode == 0 else 0
        comm = Path(f"/proc/{pid}/comm")
        return pid if pid and comm.exists() and comm.read_text().strip() != INIT else 0

    def signal(self, number: signal.Signals) -> None:
        """Signal its first process, as `docker stop` and Kubernetes do."""
        done = self.image.store.runc("kill", self.name, number.name.removeprefix("SIG"))
        assert done.returncode == 0, done.stdout

    def remove(self) -> None:
        self.image.store.runc("delete", "--force", self.name)
        if self.process is not None:
            self.process.wait(SHORT)


def opened(store: Store, kind: str) -> Image:
    """Mount an image that `./run images` built."""
    name = f"localhost/netgen:{kind}"
    root = Path(store.buildah("mount", store.buildah("from", "--pull-never", name)))
    described = json.loads(store.buildah("inspect", "--type", "image", name))
    return Image(store, root.resolve(), described["OCIv1"]["config"])
