"""Run a command of netgen's in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from netgen.pipeline.study.cells import Words

# This netgen, not one that happens to lie in the working folder.
SAFE_PATH = ("-P",) if sys.version_info >= (3, 11) else ()


def start(words: Words, **options: Any) -> subprocess.Popen[bytes]:
    """Start a command in a new process, which gets SIGTERM when the calling thread ends.

    A training then leaves a snapshot. The process has its own session, so it gets signals such as
    Ctrl-C from this process only. `options` are those of `subprocess.Popen`.
    """
    program = [sys.executable, *SAFE_PATH, "-m", "netgen.commands.as_child", str(os.getpid())]
    return subprocess.Popen([*program, *words], start_new_session=True, **options)
