"""One of netgen's commands as a process that does not outlive the experiment that called it."""

from __future__ import annotations

import os
from signal import SIGTERM

from netgen.caffe.child import die_with_parent
from netgen.commands.cli import main

if __name__ == "__main__":
    die_with_parent(os.getppid(), SIGTERM)
    main()
