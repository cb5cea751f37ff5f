"""Estimate the cost of 100 million images from the measured cost of each step.

    python benchmarks/data_at_scale.py [--images N] [--rows N] [--target N]

Prints first what was measured, in processor time with all files in memory: listing, scanning,
preparing and appending real photographs, and a ledger of synthetic rows at two sizes. Then
what follows for the target, with what is assumed of the machines. ``docs/data-at-scale.md``
discusses the answer.
"""

from __future__ import annotations

import argparse
import math
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import simplejpeg
from photographs import PAIRS, photographs

from data_prep import duplicates, splitting
from data_prep.class_folders import class_folders
from data_prep.datums import MOST_RECORDS, image_datum, key, label_datum
from data_prep.image_source import ImageSource, Item, Pixels
from data_prep.images import Decoding
from data_prep.ledger import Ledger, Record, Scan, pages
from data_prep.ledger import ledger as open_ledger
from data_prep.planning import LABEL_DATUM, database_size
from data_prep.reading import ImageReader, Prepared
from data_prep.storage import Appender
from data_prep.workers import keep_freed_memory
from data_prep.writing import BATCH, CHUNK

# Assumed of available machines, not measured.
CORES = (1, 2, 4, 8, 64)
NETWORK = 10e9 / 8  # bytes per second to the machine that writes
DISK = 1e9  # bytes per second that it writes
TASKS = 3

T = TypeVar("T")


@dataclass(frozen=True)
class ImageCosts:
    """Seconds per image on one core, and bytes."""

    listing: float
    scanning: float
    preparing: float
    appending: float
    labels: float
    file: float
    record: int
    jpeg: float


@dataclass(frozen=True)
class LedgerCosts:
    """Seconds and bytes per row of a ledger with this many rows."""

    rows: int
    entering: float
    noting: float
    planning: float
    reading: float
    file: float
    memory: int


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--target", type=int, default=100_000_000)
    options = parser.parse_args()
    keep_freed_memory()
    small, large = (ledger_costs(rows) for rows in (options.rows // 4, options.rows))
    images = image_costs(options.images)
    print_measured(images, small, large)
    print_parts(options.images)
    print_plan(options.target, images, small, large)


def image_costs(count: int) -> ImageCosts:
    """Measure each step for so many photographs."""
    source = class_folders(photographs(count))
    items, listing = timed(lambda: [item for item in source.items() if isinstance(item, Item)])
    reader = ImageReader(source.load, source.stamp, Decoding((224, 224)))
    named = [(number, item.name, None) for number, item in enumerate(items)]
    scans, scanning = timed(lambda: dict(reader.scan(named)))
    rows = [
        Record(item.name, scans[number].sha256 or b"", (0,)) for number, item in enumerate(items)
    ]
    with tempfile.TemporaryDirectory(prefix="netgen-") as folder:
        preparing, appending, labels = written(reader, rows, Path(folder))
    jpegs = ImageReader(source.load, source.stamp, Decoding((224, 224)), "jpeg").prepare(
        rows[:CHUNK]
    )
    return ImageCosts(
        listing / count, scanning / count, preparing / count, appending / count, labels / count,
        sum(scan.bytes or 0 for scan in scans.values()) / count,
        database_size(10**6, 3 * 224 * 224) // 10**6,
        sum(map(len, jpegs.datums)) / len(jpegs.datums),
    )  # fmt: skip


def written(reader: ImageReader, rows: list[Record], folder: Path) -> tuple[float, float, float]:
    """Return the seconds to prepare `rows`, to append them, and to append one task's labels."""
    images, labels = Appender(str(folder / "images")), Appender(str(folder / "labels"))
    spent = [0.0, 0.0, 0.0]
    for number, page in enumerate(pages(rows, BATCH)):
        keys = [key(number * BATCH + i) for i in range(len(page))]
        chunks, seconds = timed(partial(prepared, reader, page))
        spent[0] += seconds
        datums = [datum for chunk in chunks for datum in chunk.datums]
        spent[1] += timed(partial(images.append, keys, datums))[1]
        spent[2] += timed(partial(label_all, labels, keys))[1]
    return spent[0], spent[1], spent[2]


def prepared(reader: ImageReader, rows: Sequence[Record]) -> list[Prepared]:
    """Return the Datums of `rows`, chunk by chunk."""
    return [reader.prepare(chunk) for chunk in pages(rows, CHUNK)]


def label_all(labels: Appender, keys: list[bytes]) -> None:
    """Append the same label under each of `keys`."""
    labels.append(keys, [label_datum(7)] * len(keys))


def ledger_costs(rows: int) -> LedgerCosts:
    """Measure a ledger of synthetic images, as long as those of the corpus are."""
    source = ImageSource("synthetic", {"anp": PAIRS}, lambda: synthetic(rows), lambda _: b"")
    with tempfile.TemporaryDirectory(prefix="netgen-") as folder:
        file = Path(folder) / "ledger"
        with open_ledger(file) as ledger:
            _, entering = timed(lambda: ledger.enter(source, 0, lambda _: None))
            _, noting = timed(lambda: note(ledger))
            _, planning = timed(lambda: planned(ledger, source))
            _, reading = timed(lambda: sum(map(len, ledger.records("train", 0, CHUNK))))
            size = sum(each.stat().st_size for each in Path(folder).iterdir())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return LedgerCosts(
        rows, entering / rows, noting / rows, planning / rows, reading / rows,
        file=size / rows, memory=memory,
    )  # fmt: skip


def synthetic(rows: int) -> Iterator[Item]:
    """List images in the order of a file system: none."""
    for i in range(rows):
        number = i * 2_654_435_761 % 2**32
        yield Item(f"{PAIRS[i % len(PAIRS)]}/{number}.jpg", {"anp": i % len(PAIRS)})


def note(ledger: Ledger) -> None:
    """Record a scan of every row."""
    for page in ledger.scans(64):
        ledger.scanned(
            (number, Scan("50000 1", number.to_bytes(32, "big"), 50_000, None, "JPEG", 3, 375, 500))
            for number, _, _ in page
        )


def planned(ledger: Ledger, source: ImageSource) -> None:
    """Do all that is done between the scan and the writing."""
    duplicates.find(ledger, None)
    splitting.draw(ledger, source, group=False)
    splitting.count_classes(ledger, source)
    ledger.digest()


def print_measured(images: ImageCosts, small: LedgerCosts, large: LedgerCosts) -> None:
    """Print what was measured."""
    print("measured, processor time                      each")
    for what, seconds in (
        ("list a file", images.listing), ("scan a photograph", images.scanning),
        ("prepare a photograph", images.preparing), ("append it to an LMDB", images.appending),
        ("append a label", images.labels),
    ):  # fmt: skip
        print(f"  {what:40} {seconds * 1e6:8,.1f} us  {1 / seconds:12,.0f}/s")
    print(f"  a file {images.file:,.0f} bytes, its record {images.record:,}, as JPEG", end=" ")
    print(f"{images.jpeg:,.0f}")
    for costs in (small, large):
        print(f"a ledger of {costs.rows:,} rows: {costs.file:.0f} bytes per row,", end=" ")
        print(f"peak memory of the process {costs.memory / 1e6:,.0f} MB")
        for what, seconds in (
            ("enter a row", costs.entering), ("record a scan", costs.noting),
            ("plan", costs.planning), ("read a record", costs.reading),
        ):  # fmt: skip
            print(f"  {what:40} {seconds * 1e6:8,.1f} us  {1 / seconds:12,.0f}/s")


def print_parts(count: int) -> None:
    """Print what preparing a photograph consists of, part by part."""
    source = class_folders(photographs(count))
    names = [item.name for item in source.items() if isinstance(item, Item)]
    chunks = list(pages(names, CHUNK))
    spent: defaultdict[str, float] = defaultdict(float)
    sums = np.zeros((224, 224, 3), np.float32)
    for chunk in chunks:
        contents = step(spent, "read it", source.load, chunk)
        step(spent, "hash it", lambda content: sha256(content).digest(), contents)
        decoded = step(spent, "decode it, checking for damage", decode_jpeg, contents)
        resized = step(spent, "resize it", lambda pixels: cv2.resize(pixels, (224, 224)), decoded)
        step(spent, "lay it out as a Datum", image_datum, resized)
        step(spent, "add it to the sums", lambda pixels: cv2.accumulate(pixels, sums), resized)
    print("of preparing a photograph")
    for what, seconds in spent.items():
        print(f"  {what:40} {seconds / count * 1e6:8,.1f} us")


def step(
    spent: dict[str, float], what: str, work: Callable[[Any], T], items: Sequence[Any]
) -> list[T]:
    """Do `work` with each of `items`, and enter the seconds in `spent`."""
    found, seconds = timed(lambda: [work(item) for item in items])
    spent[what] += seconds
    return found


def decode_jpeg(content: bytes) -> Pixels:
    """Decode as `data_prep.images` does."""
    pixels: Pixels = simplejpeg.decode_jpeg(content, "BGR", strict=True)
    return pixels


def print_plan(target: int, images: ImageCosts, small: LedgerCosts, large: LedgerCosts) -> None:
    """Print the estimates for the target."""
    train = target * 4 // 5
    fits = "fits" if train <= MOST_RECORDS else "does NOT fit"
    print(f"\n{target:,} images, {TASKS} tasks; training set of {train:,} {fits} into keys of one")
    print(f"  database (at most {MOST_RECORDS:,})")
    work = images.scanning + images.preparing
    print(f"  files (each is read twice)        {target * images.file / 1e12:8.1f} TB")
    print(f"  images.lmdb, raw                  {target * images.record / 1e12:8.1f} TB")
    print(f"  images.lmdb, --encoded jpeg       {target * images.jpeg / 1e12:8.1f} TB")
    label = database_size(target, LABEL_DATUM)
    print(f"  label databases, {TASKS} tasks         {TASKS * label / 1e12:8.3f} TB")
    print(f"  ledger                            {target * large.file / 1e12:8.3f} TB")
    print(f"  workers: scan and prepare         {target * work / 3600:8,.0f} core hours")
    head = {
        "listing": images.listing,
        "ledger: enter": grown(small.entering, large.entering, large.rows, target),
        "ledger: scans": grown(small.noting, large.noting, large.rows, target),
        "ledger: plan": grown(small.planning, large.planning, large.rows, target),
        "ledger: read": grown(small.reading, large.reading, large.rows, target),
        "append images": max(images.appending, images.record / DISK),
        "append labels": TASKS * images.labels,
        "receive records": images.record / NETWORK,
    }
    for what, seconds in head.items():
        print(f"  the one machine that writes: {what:15} {target * seconds / 3600:6,.1f} hours")
    receiving = max(head["append images"] + head["append labels"], head["receive records"])
    print(f"  so it takes a record every {receiving * 1e6:,.0f} us, and keeps", end=" ")
    print(f"{images.preparing / receiving:,.1f} cores busy that prepare them")
    for cores in CORES:
        seconds = sum(head[x] for x in head if x.startswith(("listing", "ledger: e", "ledger: p")))
        seconds += max(head["ledger: scans"], images.scanning / cores)
        seconds += max(receiving, images.preparing / cores) + head["ledger: read"]
        print(f"  workers with {cores:3} cores: {target * seconds / 86400:6.1f} days")


def grown(small: float, large: float, rows: int, target: int) -> float:
    """Return a row's cost at the target, if it continues to grow with the logarithm of the size."""
    return large + max(0.0, large - small) / math.log(4) * math.log(target / rows)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what `work` returns, and the seconds of a processor that it took.

    Not of the clock: other programs on the machine would count.
    """
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


if __name__ == "__main__":
    main()
