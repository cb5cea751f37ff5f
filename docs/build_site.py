"""Builds the documentation as a site: `./run docs`, which installs what that needs.

Stages the tracked pages as they lie in the tree, so that their links to each other hold, and what
else they link to: pictures, and files and folders as pages below `tree/`. Then mkdocs builds the
site by docs/mkdocs.yml and checks every link and anchor.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGED = Path("build/docs")  # as docs/mkdocs.yml has it
PICTURES = {".png", ".svg"}
LANGUAGES = {".py": "python", ".sh": "bash", ".toml": "toml", ".txt": "text", ".hpp": "cpp"}
LINK = re.compile(r"(?<=\]\()([^)#\s]+)(?=[)#])")
ITEM = re.compile(r"( *)([-*]|\d+\.) ")
FENCE = re.compile(r" *(`{3,}|~{3,})")
# What `netgen page` makes of what is committed: file, command, title, what there is to see.
LOOK = (
    ("differences.html", ("network", "--variant", "x0", "--against", "xs"), "X₀ beside X_S",
     "the standard multitask network and the cross-residual one, with what differs"),
    ("xs.html", ("network", "--variant", "xs"), "X_S",
     "each layer's type, shapes, parameters, multiply-adds and memory"),
    ("audit.html", ("audit",), "The audit",
     "every number that the paper prints, beside what was found"),
    ("miniature.html", ("study", "experiments/miniature"), "The experiment in miniature",
     "each of the paper's sentences with its intervals, and every seed with what repeats it"),
    ("deciding.html", ("study", "experiments/deciding"), "The experiment that decides",
     "X_S against X₀ with twenty seeds on two datasets, and what goes on inside"),
    ("map.html", ("study", "experiments/map"), "Where the order holds",
     "each of the paper's sentences by rate, start, factor and images"),
    ("order.html", ("study", "experiments/order"), "The order, decided",
     "the place of that map where the means have the paper's order, with forty other seeds"),
)  # fmt: skip


class SiteError(ValueError):
    """Pages that cannot be staged; the message says which."""


def stage(root: Path, out: Path) -> None:
    """Write the pages of the tree `root`, and what they link to, into the folder `out`.

    Raises
    ------
    SiteError
        A page links to what is not in the tree.
    """
    tracked = _tracked(root)
    pages = {path for path in tracked if path.endswith(".md")}
    linked: set[str] = set()
    missing: list[str] = []
    for page in sorted(pages):
        lines = []
        for line, is_text in _lines((root / page).read_text(encoding="utf-8")):

            def put(match: re.Match[str], page: str = page) -> str:
                target = _resolved(page, match[1])
                if "://" in match[1] or target in pages:
                    return match[1]
                if not (target in tracked or _below(target, tracked)):
                    missing.append(f"{page} links to {match[1]}, which is not in the tree")
                    return match[1]
                return _link(page, _place(target, pages, linked))

            lines.append(LINK.sub(put, line) if is_text else line)
        _write(out / page, "\n".join(lines) + "\n")
    if missing:
        raise SiteError("\n".join(missing))
    for target in sorted(linked):
        _stage_linked(root, out, target, tracked)


def _place(target: str, pages: set[str], linked: set[str]) -> str:
    """Return where the site has a file or folder that is no page; note it in `linked`."""
    if (index := f"{target}/README.md") in pages:
        return index
    linked.add(target)
    return target if Path(target).suffix in PICTURES else f"tree/{target}.md"


def _stage_linked(root: Path, out: Path, target: str, tracked: set[str]) -> None:
    if Path(target).suffix in PICTURES:
        (out / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / target, out / target)
    elif target in tracked:
        text = (root / target).read_text(encoding="utf-8").rstrip("\n")
        language = LANGUAGES.get(Path(target).suffix, "text")
        _write(out / f"tree/{target}.md", f"# {target}\n\n````{language}\n{text}\n````\n")
    else:
        names = "\n".join(path.removeprefix(f"{target}/") for path in _below(target, tracked))
        _write(out / f"tree/{target}.md", f"# {target}/\n\n````text\n{names}\n````\n")


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Yield a page's lines as Python-Markdown takes them, and whether each is text and no code.

    It wants four spaces where code hosts want as many as a list's mark takes, and an empty line
    ahead of a list.
    """
    fence, indents, before = "", [], ""
    for line in text.splitlines():
        stripped = line.lstrip(" ")
        indent = len(line) - len(stripped)
        is_text = not fence
        if is_text and stripped:
            while indents and indent < indents[-1]:
                indents.pop()
        depth = len(indents)
        shown = (
            " " * (4 * depth + indent - (indents[-1] if indents else 0)) + stripped if line else ""
        )
        mark = FENCE.match(line)
        item = ITEM.match(line) if is_text else None
        if item:
            if before.strip() and not indents and not ITEM.match(before) and before[0] != " ":
                yield "", True
            indents.append(item.end())
        if mark and not fence:
            fence, is_text = mark[1], False
        elif mark and mark[1].startswith(fence) and stripped.strip("`~") == "":
            fence = ""
        yield shown, is_text
        before = line


def _tracked(root: Path) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    )
    return {path for path in listed.stdout.split("\0") if path and (root / path).is_file()}


def _below(folder: str, tracked: set[str]) -> list[str]:
    return sorted(path for path in tracked if path.startswith(f"{folder}/"))


def _resolved(page: str, link: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(page), link))


def _link(page: str, target: str) -> str:
    return os.path.relpath(target, os.path.dirname(page) or ".")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def stage_looks(out: Path) -> None:
    """Make the pages of `netgen page`, and the page that leads to them, in the folder `out`."""
    rows = []
    (out / "looks").mkdir(parents=True, exist_ok=True)
    for name, words, title, what in LOOK:
        command = ["page", *words]
        program = [sys.executable, "-m", "netgen.commands.cli"]
        file = str(out / "looks" / name)
        subprocess.run([*program, *command, "--out", file], cwd=ROOT, check=True)
        rows.append(f"- [{title}](looks/{name}): {what}. `netgen {' '.join(command)}`")
    text = "# Look instead of read\n\nPages that `netgen page` makes ([more](docs/pages.md)):\n\n"
    _write(out / "look.md", text + "\n".join(rows) + "\n")


def main() -> None:
    """Stage all, and have mkdocs build the site."""
    out = ROOT / STAGED
    shutil.rmtree(out, ignore_errors=True)
    try:
        stage(ROOT, out)
    except SiteError as error:
        raise SystemExit(
            f"{error}\nNext: correct the links, or `git add` what they lead to."
        ) from None
    stage_looks(out)
    _write(out / "assets/iframe-worker.js", (ROOT / "docs/iframe-worker.js").read_text("utf-8"))
    words = ["build", "--strict", "--config-file", "docs/mkdocs.yml"]
    # Material warns of mkdocs 2 at length; what it asks for itself is mkdocs 1.
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "true"}
    program = [sys.executable, "-m", "mkdocs", *words]
    raise SystemExit(subprocess.run(program, cwd=ROOT, env=quiet, check=False).returncode)


if __name__ == "__main__":
    main()
