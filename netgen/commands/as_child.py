"""`python -m netgen.commands.as_child PARENT WORDS`: a command that ends when PARENT does."""

from __future__ import annotations

import sys
from signal import SIGTERM

from netgen.caffe.child import die_with_parent
from netgen.commands.cli import main

if __name__ == "__main__":
    die_with_parent(int(sys.argv.pop(1)), SIGTERM)  # so that messages name the command as typed
    main(prog_name="netgen")
