"""The few edits that Caffe's sources need, as tables, and the making of them.

    python3 replacements TREE        edits TREE in place: give it a copy, never a user's folder

Every row must find a text that shows that this tree needs no edit, or its old text exactly once. A
source in which neither is found is not the source that the row was written for, and nothing at all
is edited: an engine that is silently half mended would be worse than none.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gpu
import inputs
import layers
import pycaffe
import speed
from replacement import UnexpectedSourceError, mend_tree

import solvers

REPLACEMENTS = (*solvers.ROWS, *layers.ROWS, *inputs.ROWS, *pycaffe.ROWS, *speed.ROWS, *gpu.ROWS)


def main() -> int:
    """Mend the tree named on the command line."""
    if len(sys.argv) != 2:
        print("usage: replacements TREE", file=sys.stderr)
        return 2
    try:
        report = mend_tree(Path(sys.argv[1]), REPLACEMENTS)
    except UnexpectedSourceError as error:
        print(
            f"replacements: this source of Caffe is not what the recipe expects: {error}\n"
            "Next: give one of the sources that the recipe knows (see source.sh), or adapt "
            "the tables to yours. Nothing was edited.",
            file=sys.stderr,
        )
        return 1
    print("\n".join(report))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
