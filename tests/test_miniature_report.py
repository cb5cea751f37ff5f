"""The committed report of the miniature is what its results and its template give."""

from __future__ import annotations

from pathlib import Path

from netgen.network.dataset import Dataset, Images, Task, split_in
from netgen.pipeline.miniature_report import report_page
from netgen.pipeline.records import read_choice, read_experiment

FOLDER = Path(__file__).parent.parent / "experiments/miniature"
LETTERS = Dataset(  # as examples/typefaces makes it
    name="letters",
    images=Images(3, 32, 32, (0.0, 0.0, 0.0)),
    tasks=(Task("noun", 26), Task("adj", 7), Task("anp", 182)),
    train=split_in("train", (), 10_218),
    test=split_in("test", (), 2_652),
)


def committed_page() -> str:
    return report_page(read_experiment(FOLDER / "results.json"), LETTERS, read_choice(FOLDER))


def test_the_committed_page_is_current() -> None:
    """Else: `python tests/test_miniature_report.py`; a new run is needed for new numbers only."""
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == committed_page()


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(committed_page(), encoding="utf-8")
