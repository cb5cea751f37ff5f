"""The documentation as a site: each page has its place, each link leads somewhere, none outside."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.browser import window
from support.once import Once
from support.paths import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest.importorskip("mkdocs", reason="pip install 'netgen[docs]'")
COMMAND = "docs/build_site.py"


def copy_of_the_tree(folder: Path) -> Path:
    """The tracked files, in a git of their own, so that a test may break them."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    shutil.copy2(ROOT / "netgen/caffe/caffe_pb2.py", folder / "netgen/caffe")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    return folder


def build(tree: Path, *program: str) -> subprocess.CompletedProcess[str]:
    """Build the site of a tree; output and errors are both in `stdout`."""
    return subprocess.run(
        [sys.executable, *(program or (COMMAND,))], cwd=tree, text=True, check=False,
        env=os.environ | {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'docs'}"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture(scope="session")
def site(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this tree."""

    def make() -> Path:
        tree = copy_of_the_tree(tmp_path_factory.mktemp("tree"))
        built = build(tree)
        assert built.returncode == 0, built.stdout
        return tree / "site"

    return once("site", make)


def test_every_tracked_page_is_in_the_navigation(site: Path) -> None:
    navigation = (site / "index.html").read_text(encoding="utf-8")
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(listed) > 20
    for page in listed:
        target = page.replace("README.md", "index.html").replace(".md", ".html")
        assert re.search(rf'<a href="{target}" class="md-nav__link', navigation), page


def test_every_link_and_picture_leads_into_the_site(site: Path) -> None:
    """Of the built pages: what mkdocs checks, and what its theme adds."""
    pages = [page for page in site.rglob("*.html") if "looks" not in page.parts]
    ids = {
        page: set(re.findall(r'\bid="([^"]*)"', page.read_text(encoding="utf-8"))) for page in pages
    }
    wrong = []
    for page in pages:
        if page.name == "404.html":  # its links are those of a server
            continue
        for found in re.findall(r'\b(?:href|src)="([^"]*)"', page.read_text(encoding="utf-8")):
            address, _, anchor = unescape(found).partition("#")
            if address.startswith(("https://", "http://", "data:")):
                continue
            target = (page.parent / address).resolve() if address else page
            if not target.exists() or (anchor and target in ids and anchor not in ids[target]):
                wrong.append(f"{page.relative_to(site)}: {found}")
    assert not wrong, "\n".join(wrong)


def test_what_netgen_page_makes_of_what_is_committed_is_there(site: Path) -> None:
    look = (site / "look.html").read_text(encoding="utf-8")
    for name in ("differences", "xs", "audit", "miniature", "deciding", "map", "order"):
        assert f'href="looks/{name}.html"' in look
        assert (site / f"looks/{name}.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    "page", ["index", "docs/commands", "AUDIT", "look", "tree/netgen/commands/cli.py"]
)
def test_a_page_opens_from_the_disk_and_asks_nobody_for_anything(
    site: Path, browser: Browser, page: str
) -> None:
    """`window` sees to it: no request leaves, and nothing is said on the console."""
    with window(browser, viewport={"width": 360, "height": 800}) as shown:
        opened = shown.open(site / f"{page}.html")
        opened.wait_for_load_state("networkidle")
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_search_works_from_the_disk(site: Path, browser: Browser) -> None:
    with window(browser) as shown:
        page = shown.open(site / "index.html")
        page.click(".md-search__input")
        page.keyboard.type("plateau")
        page.wait_for_selector(".md-search-result__link")
        assert "plateau" in page.inner_text(".md-search-result__list").lower()


def spoiled(folder: Path, *additions: tuple[str, str]) -> str:
    """What is said of a tree with lines added to pages, whose site cannot be built.

    It is built without the pages of `netgen page`, which take longest.
    """
    tree = copy_of_the_tree(folder / "tree")
    for page, added in additions:
        with (tree / page).open("a", encoding="utf-8") as file:
            file.write(f"\n{added}\n")
    subprocess.run(["git", "add", "--all"], cwd=tree, check=True)
    built = build(tree, "-c", "import build_site; build_site.LOOK = (); build_site.main()")
    assert built.returncode == 1, built.stdout
    return built.stdout


def test_a_link_or_picture_that_is_not_there_fails_with_the_pages_name(tmp_path: Path) -> None:
    said = spoiled(
        tmp_path, ("docs/gpu.md", "[x](nowhere.md)"), ("docker/README.md", "![x](no.png)")
    )
    assert "docs/gpu.md links to nowhere.md, which is not in the tree" in said
    assert "docker/README.md links to no.png, which is not in the tree" in said


def test_an_anchor_or_a_page_that_nothing_leads_to_fails_with_the_pages_name(
    tmp_path: Path,
) -> None:
    said = spoiled(
        tmp_path,
        ("docs/gpu.md", "[x](cluster.md#no-such)"),
        ("docs/pages.md", "[x](#nor-this)"),
        ("docs/forgotten.md", "# Forgotten"),
    )
    assert re.search(r"'docs/gpu.md' contains a link 'cluster.md#no-such', but .*'#no-such'", said)
    assert re.search(r"'docs/pages.md' contains a link '#nor-this', but there is no such", said)
    assert re.search(r'not included in the "nav" configuration:\s+- docs/forgotten.md', said)
