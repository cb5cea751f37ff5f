"""The first pass: every image listed and looked at, so that rejects are known before the split.

The split is of the images that are accepted. To decode them all twice would be dear, so the scan
glances at them, and for the rare damage that a glance does not show, the writing starts over
(`damage`). A thorough scan decodes them: it reads a JPEG to its end, at an eighth of its size.
"""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.ahead import Workers
from data_prep.ledger import Ledger, Scan
from data_prep.reading import Reader
from data_prep.records import DataError, Source
from data_prep.watching import Watch

CHUNK = 64  # images that a thread looks at at a time


def scan(
    ledger: Ledger, source: Source, seed: int, reader: Reader, workers: Workers, watch: Watch
) -> None:
    """List `source` in the ledger, and look at all images that are new or changed.

    Raises
    ------
    DataError
        The source lists an image twice, or with labels that do not fit its tasks.
    """
    watch.stage("listing")
    ledger.enter(source, seed, watch.step)
    watch.stage("scanning", ledger.value("SELECT COUNT(*) FROM items"))
    with workers.ahead(reader.scan, ledger.scans(CHUNK, reader.thorough)) as found:
        for items, scans in found:
            if workers.check:
                _check_seen(reader, items, scans)
            ledger.scanned(scans)
            watch.step(len(items))


def _check_seen(
    reader: Reader,
    items: Sequence[tuple[int, str, str | None]],
    scans: Sequence[tuple[int, Scan]],
) -> None:
    """Look here at what another machine could not read; refuse one that has other files.

    Else a worker without the files would have every image rejected.
    """
    unread = {number: scan.reason for number, scan in scans if scan.sha256 is None}
    again = [item for item in items if item[0] in unread]
    here = {number: scan.reason for number, scan in reader.scan(again) if scan.sha256 is None}
    for number, name, _ in again:
        if here.get(number) != unread[number]:
            raise DataError(
                f"{name}: a worker of the cluster says {unread[number]!r}, and here it is another"
                " matter: workers need the same files at the same paths, as on a shared disk"
            )
