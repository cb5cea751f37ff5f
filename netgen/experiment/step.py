"""One of netgen's commands as a process that does not outlive the experiment that called it."""

from __future__ import annotations

from signal import SIGTERM

from netgen.child import die_with_parent
from netgen.cli import main

if __name__ == "__main__":
    die_with_parent(SIGTERM)
    main()
