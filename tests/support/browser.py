"""Pages of `netgen page` in a real browser: what it shows, and that it asks nobody for anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
# As root there is no sandbox; the rest would ask its maker for things.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
SCHEMES = ("file:", "data:", "blob:")
SERIOUS = {"serious", "critical"}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own, with an empty profile, until the end of the block."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium, as root (`./run test` does)")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), timeout=0)
        yield browser
        browser.close()


class Window:
    """A page that is open, and what went wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("console", lambda message: self._told(message.type, message.text))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", self._asked)
        page.on("request", lambda request: self._requested(request.url))

    def open(self, file: Path, fragment: str = "") -> Page:
        """Open a file as somebody who clicks on it; return the page, loaded."""
        self.page.goto(file.as_uri() + fragment)
        return self.page

    def _told(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.wrong.append(f"{kind}: {text}")

    def _asked(self, dialog: Any) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, address: str) -> None:
        if not address.startswith(SCHEMES):
            self.wrong.append(f"request: {address}")


@contextmanager
def window(browser: Browser, **settings: Any) -> Iterator[Window]:
    """A window of the browser, in which nothing may go wrong until the end of the block."""
    context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}} | settings)
    context.set_default_timeout(0)  # a busy machine is slow; pytest ends what hangs
    shown = Window(context.new_page())
    yield shown
    context.close()
    assert shown.wrong == []


def away_and_back(page: Page) -> None:
    """Leave a page, and go back to it: the browser loads it again, and fills in its fields."""
    page.goto("about:blank")
    page.go_back()


def serious_findings(page: Page) -> list[str]:
    """What axe-core finds that keeps people out: its rule, what it is about, and where.

    Of the rows of long tables, which are alike, in the first few.
    """
    from axe_playwright_python.sync_playwright import Axe

    found = (
        Axe().run(page, context={"exclude": [["tbody tr:nth-child(n+4)"]]}).response["violations"]
    )
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in SERIOUS
    ]
