"""`python -m netgen.commands PARENT WORDS`: a command that ends when the process PARENT does."""

from __future__ import annotations

import sys
from signal import SIGTERM

from netgen.caffe.child import die_with_parent
from netgen.commands.cli import main

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), SIGTERM)
    main(sys.argv[2:], prog_name="netgen")
