"""The first pass: list and check every image, so that rejects are known before the split.

The split is drawn among the images that are accepted. Decoding them all twice would be expensive,
so the scan only glances at them (`images.glance`); for the rare damage that a glance does not show,
the writing starts over (`resuming`). A thorough scan decodes them: it reads a JPEG to its end, at
an eighth of its size.
"""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.image_source import DataError, ImageSource
from data_prep.ledger import Ledger, Scan, pages
from data_prep.reading import ImageReader
from data_prep.request import StageProgress
from data_prep.workers import Workers

CHUNK = 64  # images that a thread checks at a time
TOGETHER = 4  # such chunks that are recorded at a time


def scan_source(
    ledger: Ledger,
    source: ImageSource,
    seed: int,
    reader: ImageReader,
    workers: Workers,
    progress: StageProgress,
) -> None:
    """List `source` in the ledger, and check all images that are new or changed.

    Raises
    ------
    DataError
        The source lists an image twice, or with labels that do not fit its tasks.
    """
    progress.stage("listing")
    ledger.enter(source, seed, progress.advance)
    progress.stage("scanning", ledger.value("SELECT COUNT(*) FROM items"))
    with workers.ahead(reader.scan, ledger.scans(CHUNK, reader.thorough)) as found:
        for page in pages(found, TOGETHER):
            for items, scans in page:
                if workers.checks:
                    _check_unread(reader, items, scans)
                progress.advance(len(items))
            ledger.scanned(scan for _, scans in page for scan in scans)


def _check_unread(
    reader: ImageReader,
    items: Sequence[tuple[int, str, str | None]],
    scans: Sequence[tuple[int, Scan]],
) -> None:
    """Check here what another machine could not read, and refuse a machine that has other files.

    Otherwise a worker without the files would have every image rejected.
    """
    unread = {number: scan.reason for number, scan in scans if scan.sha256 is None}
    again = [item for item in items if item[0] in unread]
    here = {number: scan.reason for number, scan in reader.scan(again) if scan.sha256 is None}
    for number, name, _ in again:
        if here.get(number) != unread[number]:
            raise DataError(
                f"{name}: a worker of the cluster reports {unread[number]!r}, but this machine does"
                " not: workers need the same files at the same paths, as on a shared disk"
            )
