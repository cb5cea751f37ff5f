"""Runs a function of a test module in a child process that has Caffe.

Caffe aborts the whole process on what it dislikes, and engines of 2016 wait forever for each other
when two networks of one process read the same database. So a test never imports Caffe: it names a
function of its own module, which runs in a child, may not outlast its time, and whose answer comes
back pickled together with all that Caffe logged.
"""

from __future__ import annotations

import importlib
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.paths import ROOT, TESTS

ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(TESTS), str(ROOT)]),
    "OPENBLAS_NUM_THREADS": "1",  # two are slower on small images
    "GLOG_logtostderr": "1",
    "GLOG_minloglevel": "0",
}
# glog's lines begin with a letter for their severity, then month, day and perhaps the year.
COMPLAINT = re.compile(r"^(?:[WEF]\d{4}|\[libprotobuf (?:WARNING|ERROR|FATAL)).*", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What a function returned in a child, and what Caffe logged meanwhile."""

    value: Any
    log: str

    @property
    def complaints(self) -> list[str]:
        """The warnings and errors that Caffe and protobuf logged."""
        return complaints(self.log)


def complaints(log: str) -> list[str]:
    """Return the warnings and errors in what Caffe and protobuf logged."""
    return COMPLAINT.findall(log)


def in_caffe(
    function: Callable[..., Any],
    *arguments: object,
    folder: Path = ROOT,
    timeout: int = 120,
    python: str | Path = sys.executable,
    environment: Mapping[str, str] | None = None,
) -> Answer:
    """Run ``function(*arguments)`` in a child whose current folder is `folder`.

    The Caffe is that of `python`; `environment` takes the place of this process's.
    """
    call = (function.__module__, function.__name__, arguments)
    child = subprocess.run(
        [python, "-c", "from support import caffe_child; caffe_child.main()"],
        cwd=folder,
        env={**(os.environ if environment is None else environment), **ENVIRONMENT},
        input=pickle.dumps(call),
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    log = child.stderr.decode(errors="replace")
    assert child.returncode == 0, f"{function.__name__} failed in Caffe:\n{log[-4000:]}"
    return Answer(pickle.loads(child.stdout), log)


def main() -> None:
    """Be the child: read what to call, call it, write what it returned."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between
    module, name, arguments = pickle.load(sys.stdin.buffer)
    try:
        import caffe  # noqa: F401  (fails here, with a message, rather than in each function)
    except ImportError as error:
        sys.exit(f"no Caffe in this environment ({error}): ./run setup builds it")
    value = getattr(importlib.import_module(module), name)(*arguments)
    with answer:
        pickle.dump(value, answer)
