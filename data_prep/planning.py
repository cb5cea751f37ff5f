"""All that is known of a dataset before it is written."""

from __future__ import annotations

from dataclasses import dataclass

from data_prep import duplicates, estimate, plan
from data_prep.duplicates import Duplicates
from data_prep.ledger import Ledger
from data_prep.options import Options
from data_prep.plan import Counts
from data_prep.records import DataError, Source


@dataclass(frozen=True)
class Planned:
    """What a dataset will be.

    Attributes
    ----------
    train, test
        The number of images in each split.
    shape
        Channels, height and width of every image.
    counts
        Every class of every task, with its images.
    rejects
        Reason -> number of images left out for it, the most frequent first.
    rotated
        How many images carry an EXIF orientation other than upright.
    bytes
        Of disk that it takes at most.
    """

    train: int
    test: int
    shape: tuple[int, int, int]
    counts: list[Counts]
    rejects: dict[str, int]
    duplicates: Duplicates
    rotated: int
    bytes: int


def make_plan(ledger: Ledger, source: Source, options: Options, size: tuple[int, int]) -> Planned:
    """Find duplicates among the images that were scanned, draw the split, and sum up.

    Raises
    ------
    DataError
        There is nothing to make a dataset of, or the source leaves nothing to draw.
    """
    if options.group_duplicates and ledger.value("SELECT 1 FROM items WHERE given NOTNULL"):
        raise DataError(
            f"{source.name} says which images are for training and which for test, which"
            " --group-duplicates would change: leave it out (duplicates are reported anyway)"
        )
    duplicates.find(ledger, options.perceptual)
    plan.draw(ledger, source, options.group_duplicates)
    return Planned(
        train=ledger.count("train"),
        test=ledger.count("test"),
        shape=estimate.shape(ledger, size),
        counts=plan.counts(ledger, source),
        rejects=_rejects(ledger),
        duplicates=duplicates.count(ledger),
        rotated=ledger.value("SELECT COUNT(*) FROM items WHERE reason IS NULL AND rotated"),
        bytes=estimate.disk_use(ledger, source, size),
    )


def _rejects(ledger: Ledger) -> dict[str, int]:
    return dict(
        ledger.rows(
            "SELECT reason, COUNT(*) FROM (SELECT reason FROM items WHERE reason NOTNULL"
            " UNION ALL SELECT reason FROM not_listed) GROUP BY reason ORDER BY 2 DESC, 1"
        )
    )
