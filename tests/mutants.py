"""Do the tests notice when a line of a reader or a writer changes? `./run mutants` runs this.

python tests/mutants.py N [MODULE ...]

Of each module of mutants.toml, N places are drawn (the draw is always the same), and each is
changed as cosmic-ray knows how: another number, operator or comparison, a condition turned round, a
loop left out. A mutant is killed if one of the module's tests fails or hangs. Those that survive
are printed with what changed; exit status 1 if more than 15% do. All of it happens in a clone of
the last commit, in build/mutants.

Changes of annotations and of ``frozen=True`` are not drawn: they change nothing that runs.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkResult
from support.paths import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:  # Ubuntu 22.04's Python
    import tomli as tomllib

CLONE = ROOT / "build/mutants"
KILLED = 0.85  # the least share
HANGS = 300.0  # seconds; the slowest of these files takes 90 on a quiet machine
DECORATIONS = frozenset({"frozen", "forbid_unknown_fields", "slots"})


@dataclass(frozen=True)
class Module:
    """A module of mutants.toml, and the files of tests that are its."""

    name: str
    tests: tuple[str, ...]

    @property
    def file(self) -> str:
        """Its path in a clone."""
        return self.name.replace(".", "/") + ".py"

    @property
    def command(self) -> str:
        """What runs its tests, until one fails."""
        files = " ".join(f"tests/{name}.py" for name in self.tests)
        return f"{sys.executable} -m pytest -x -q -p no:cacheprovider {files}"


def modules() -> list[Module]:
    """Read mutants.toml."""
    table = tomllib.loads((ROOT / "tests/mutants.toml").read_text(encoding="utf-8"))
    rooms = {"data_prep": table["data_prep"], "netgen.training": table["netgen"]["training"]}
    return [
        Module(f"{room}.{name}", tuple(tests))
        for room, each in rooms.items()
        for name, tests in each.items()
    ]


def make_clone() -> None:
    """Clone the last commit, with what is generated and not committed."""
    shutil.rmtree(CLONE, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, CLONE], check=True)
    shutil.copy(ROOT / "netgen/caffe/caffe_pb2.py", CLONE / "netgen/caffe")


def mutants(file: str) -> list[MutationSpec]:
    """Return all mutants of a module but those that change nothing that runs."""
    with use_db(":memory:", WorkDB.Mode.create) as database:
        init([Path(file)], database, {})
        found = [mutation for item in database.work_items for mutation in item.mutations]
    silent = list(_silent(ast.parse(Path(file).read_text(encoding="utf-8"))))
    return [each for each in found if not any(_within(each, lines) for lines in silent)]


Span = tuple[tuple[int, int], tuple[int, int]]


def _silent(tree: ast.Module) -> Iterator[Span]:
    """Yield from where to where annotations and decorations go: lines and columns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield from _spans([node.returns])
        elif isinstance(node, ast.arg | ast.AnnAssign):
            yield from _spans([node.annotation])
        elif isinstance(node, ast.keyword) and node.arg in DECORATIONS:
            yield from _spans([node.value])


def _spans(nodes: Iterable[ast.expr | None]) -> Iterator[Span]:
    for node in nodes:
        if node is not None:
            end = (node.end_lineno or 0, node.end_col_offset or 0)
            yield (node.lineno, node.col_offset), end


def _within(mutant: MutationSpec, span: Span) -> bool:
    return bool(span[0] <= mutant.start_pos and mutant.end_pos <= span[1])


def changed(result: WorkResult) -> list[str]:
    """Return the changed lines of a mutant."""
    lines = (result.diff or "").splitlines()
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def tried(module: Module, count: int) -> tuple[int, int]:
    """Test `count` mutants of a module; return how many were killed, of how many."""
    whole = subprocess.run(shlex.split(module.command), check=False, capture_output=True, text=True)
    if whole.returncode:
        raise SystemExit(f"{module.name}: its tests fail as they are\n{whole.stdout[-2000:]}")
    found = mutants(module.file)
    drawn = random.Random(module.name).sample(found, min(count, len(found)))
    survivors = []
    for mutant in drawn:
        result = mutate_and_test([mutant], module.command, HANGS)
        if result.test_outcome is TestOutcome.SURVIVED:
            survivors.append((mutant, result))
    killed = len(drawn) - len(survivors)
    print(f"{module.name}: {killed} of {len(drawn)} killed, of {len(found)} mutants", flush=True)
    for mutant, result in survivors:
        print(f"  line {mutant.start_pos[0]}", *changed(result), sep="\n    ", flush=True)
    return killed, len(drawn)


def main() -> int:
    """Test the mutants of all modules, or of those that were named."""
    known = {module.name: module for module in modules()}
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("count", type=int, metavar="N")
    parser.add_argument("modules", nargs="*", metavar="MODULE", choices=[*known, []])
    options = parser.parse_args()
    make_clone()
    os.chdir(CLONE)
    os.environ |= {"PYTHONPATH": str(CLONE), "OPENBLAS_NUM_THREADS": "1"}
    counts = [tried(known[name], options.count) for name in options.modules or known]
    killed, drawn = (sum(column) for column in zip(*counts, strict=True))
    print(f"{killed} of {drawn} mutants killed: {killed / drawn:.0%} (aim: {KILLED:.0%})")
    return 0 if killed >= KILLED * drawn else 1


if __name__ == "__main__":
    raise SystemExit(main())
