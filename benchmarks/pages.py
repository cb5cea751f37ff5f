"""How large pages are, and how soon after they are opened they answer, in Chromium.

    python benchmarks/pages.py [--rounds N]

A page answers when its first field has taken a word and what that changes has been painted: counted
from the moment at which the browser begins to open the file. Pages are opened by turns, each time
in a browser window of its own. It needs Debian's chromium and PyPI's playwright, which `./run test`
installs.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent
# page: what makes it, its most MB and its most seconds (the aims)
PAGES = {
    "X_S": (["network", "--variant", "xs"], 1.5, 1.0),
    "X_0 beside X_S": (["network", "--variant", "x0", "--against", "xs"], None, None),
    "the audit": (["audit"], None, None),
    "the deciding study": (["study", str(ROOT / "experiments/deciding")], None, None),
    "the map of 720 networks": (["study", str(ROOT / "experiments/map")], None, None),
}
ANSWERED = """() => new Promise((done) => {
  const field = document.querySelector("input[type=search], input[type=text], input, select");
  if (field.tagName === "SELECT") field.selectedIndex = field.options.length - 1;
  else field.value = "res5a";
  for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
})"""


def seconds(browser: Browser, page: Path) -> float:
    """Return the seconds from a page's opening to its first answer."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    window = context.new_page()
    window.goto(page.as_uri())
    milliseconds = window.evaluate(ANSWERED)
    context.close()
    return float(milliseconds) / 1000


def main() -> None:
    """Make every page, open each, and print sizes, medians, spreads and aims."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("there is no chromium: apt-get install chromium, as root")
    times: dict[str, list[float]] = {name: [] for name in PAGES}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        files = {name: Path(folder) / f"{number}.html" for number, name in enumerate(PAGES)}
        for name, (words, _, _) in PAGES.items():
            command = [sys.executable, "-m", "netgen", "page", *words, "--out", str(files[name])]
            subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(rounds):
            for name, file in files.items():
                times[name].append(seconds(browser, file))
        browser.close()
        for name, (_, most, soonest) in PAGES.items():
            megabytes, found = files[name].stat().st_size / 1e6, times[name]
            aims = f"  (at most {most} MB, {soonest} s)" if most else ""
            spread = f"{min(found):.2f} to {max(found):.2f}"
            print(f"{name:24} {megabytes:.2f} MB, {statistics.median(found):.2f} s, {spread}{aims}")


if __name__ == "__main__":
    main()
