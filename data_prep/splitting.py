"""Draw the split and the order of the images, once every image has been scanned."""

from __future__ import annotations

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from data_prep.datums import MOST_RECORDS
from data_prep.image_source import DataError, ImageSource, SplitName
from data_prep.ledger import PAGE, Ledger, decoded, pages
from netgen.paper.implied import training_images
from netgen.system.text import listed

SPLITS: tuple[SplitName, SplitName] = ("train", "test")
MOST_SHOWN = 5  # classes in a message


@dataclass(frozen=True)
class ClassCount:
    """How many images of a class are in each split."""

    task: str
    name: str
    train: int
    test: int


def draw(ledger: Ledger, source: ImageSource, group: bool) -> None:
    """Give every accepted image its split and its position there.

    Of the n images of every class of the finest task, the one with the most classes, floor(0.8 n)
    are for training and the rest for test: section 5.2 prints only "a 80/20 partition", and this
    rounding is what its totals imply (`netgen.paper.implied`). Where a class of the finest task has
    several classes of another, as subjects may have places, the other tasks get their fifths as
    nearly as that allows (`_places`). The rank decides which images these are, and in what order.
    Families (`duplicates`) are kept together if `group` is true: in the order of its first image's
    rank, each goes to training while all of its classes have free places, else to test; so a class
    has floor(0.8 n) training images, or fewer when no remaining family fits.

    Raises
    ------
    DataError
        No image is left, a split would be empty, or images do not fit together.
    """
    _check_images(ledger)
    with ledger.connection:
        ledger.connection.execute("UPDATE items SET split = NULL, position = NULL")
        ledger.connection.execute("UPDATE items SET split = given WHERE reason IS NULL")
        _draw_splits(ledger, list(source.tasks).index(source.finest), group)
        ledger.connection.execute(
            "UPDATE items SET position = placed.position FROM (SELECT id, ROW_NUMBER() OVER"
            " (PARTITION BY split ORDER BY rank, name) - 1 AS position FROM items"
            " WHERE split NOTNULL) AS placed WHERE placed.id = items.id"
        )
        ledger.connection.execute(
            "CREATE UNIQUE INDEX IF NOT EXISTS by_position ON items (split, position)"
        )
    for split in SPLITS:
        _check_split(ledger, source, split, group)


def count_classes(ledger: Ledger, source: ImageSource) -> list[ClassCount]:
    """Return every class of every task with its number of images."""
    found = []
    for column, (task, names) in enumerate(source.tasks.items()):
        rows = ledger.rows(
            f"SELECT json_extract(labels, '$[{column}]'), split, COUNT(*) FROM items"
            " WHERE split NOTNULL GROUP BY 1, 2"
        )
        of = {(label, split): count for label, split, count in rows}
        found += [
            ClassCount(task, name, of.get((label, "train"), 0), of.get((label, "test"), 0))
            for label, name in enumerate(names)
        ]
    return found


def warnings(classes: list[ClassCount]) -> list[str]:
    """Return messages about classes that can never be learned or never be tested."""
    kinds = defaultdict[tuple[str, str], list[str]](list)
    for each in classes:
        if each.train + each.test == 0:
            kinds[each.task, "without images: never trained, never tested"].append(each.name)
        elif each.train == 0:
            kinds[each.task, "never trained: all images are in test"].append(each.name)
        elif each.test == 0:
            kinds[each.task, "never tested: all images are in train"].append(each.name)
    return [
        f"{task}: {len(names):,} class(es) {kind}: {listed(list(map(repr, names)), MOST_SHOWN)}"
        for (task, kind), names in kinds.items()
    ]


def _draw_splits(ledger: Ledger, finest: int, group: bool) -> None:
    """Draw the splits; `finest` is the place of the finest task among the tasks."""
    images = ledger.rows(
        "SELECT labels, COUNT(*) FROM items WHERE reason IS NULL AND given IS NULL GROUP BY labels"
    )
    room = _places(dict(images), finest)
    ledger.connection.execute("DROP TABLE IF EXISTS temp.queue")
    ledger.connection.execute(
        "CREATE TEMP TABLE queue AS SELECT id, labels, CASE WHEN ? THEN family END AS family"
        " FROM items WHERE reason IS NULL AND given IS NULL ORDER BY rank, name",
        (group,),
    )
    queue = ledger.connection.execute("SELECT id, labels, family FROM queue ORDER BY rowid")
    for page in pages(queue, PAGE):
        firsts = [row for row in page if row[2] in (None, row[0])]
        placed = [(_place(ledger, room, *row[1:]), row[0]) for row in firsts]
        ledger.connection.executemany("UPDATE items SET split = ? WHERE id = ?", placed)
        if group:
            ledger.connection.executemany("UPDATE items SET split = ? WHERE family = ?", placed)


def _places(images: Mapping[str, int], finest: int) -> Counter[str]:
    """Return how many images of each combination of labels are for training.

    `images` is how many there are, by the labels as the ledger keeps them. Each combination gets
    floor(0.8 n), and what this leaves of the floor(0.8 n) of each class of the finest task goes one
    by one to those combinations whose other classes lack most of their four fifths.
    """
    labels = {each: tuple(json.loads(each)) for each in images}
    places = Counter({each: training_images(count) for each, count in images.items()})
    lacking = Counter[tuple[int, int]]()  # (task, class) -> fifths of an image
    classes = defaultdict[int, list[str]](list)
    for each, of in labels.items():
        classes[of[finest]].append(each)
        for task in enumerate(of):
            lacking[task] += 4 * images[each] - 5 * places[each]

    def urgency(each: str) -> tuple[int, tuple[int, ...]]:
        others = (task for task in enumerate(labels[each]) if task[0] != finest)
        return -sum(lacking[task] for task in others), labels[each]

    for _, members in sorted(classes.items()):
        left = training_images(sum(images[each] for each in members))
        left -= sum(places[each] for each in members)
        # Those whose own four fifths were rounded down: there are more of them than places left.
        waiting = [(urgency(each), each) for each in members if 4 * images[each] % 5]
        heapq.heapify(waiting)
        while left:
            was, each = heapq.heappop(waiting)
            if was != urgency(each):  # which only falls
                heapq.heappush(waiting, (urgency(each), each))
                continue
            places[each] += 1
            left -= 1
            for task in enumerate(labels[each]):
                lacking[task] -= 5
    return places


def _place(ledger: Ledger, room: Counter[str], labels: str, family: int | None) -> SplitName:
    """Return the split of an image, or of the family that it begins; use up its places."""
    needed = Counter({labels: 1})
    if family is not None:
        members = "SELECT labels, COUNT(*) FROM items WHERE family = ? GROUP BY labels"
        needed = Counter(dict(ledger.rows(members, family)))
    if any(room[each] < count for each, count in needed.items()):
        return "test"
    room.subtract(needed)
    return "train"


def _check_images(ledger: Ledger) -> None:
    if ledger.count() == 0:
        first = _first_left_out(ledger)
        if not first:
            raise DataError("no images: is this the right folder?")
        raise DataError(
            f"no image can be used. The first: {first}: check these files, and the folder that"
            " their paths start from (of a CSV: --root)"
        )
    channels = ledger.rows(
        "SELECT channels, MIN(name) FROM items WHERE reason IS NULL GROUP BY channels"
    )
    if len(channels) > 1:
        (one, first), (other, second) = channels[:2]
        raise DataError(
            f"{decoded(first)!r} has {one} channel(s) and {decoded(second)!r} {other}: Caffe's"
            " batches hold images of one shape"
        )


def _first_left_out(ledger: Ledger) -> str:
    """Return the first few of what is left out, and why; nothing if nothing is."""
    reasons = ledger.rows(
        "SELECT name, reason FROM items WHERE reason NOTNULL"
        " UNION ALL SELECT name, reason FROM not_listed LIMIT 3"
    )
    return "; ".join(f"{decoded(name)!r}: {reason}" for name, reason in reasons)


def _check_split(ledger: Ledger, source: ImageSource, split: SplitName, group: bool) -> None:
    count = ledger.count(split)
    if count == 0 and ledger.value("SELECT 1 FROM items WHERE given NOTNULL"):
        left_out = _first_left_out(ledger)
        raise DataError(
            f"no {split} images: {source.name} says which images are for training and which for"
            f" test, and of those for {split} none can be used"
            + (f". The first left out: {left_out}" if left_out else ": list some")
        )
    if count == 0:
        together = ", copies of one image all on one side (unless --split-duplicates)"
        raise DataError(
            f"no {split} images: of the n of each class of {source.finest!r}, floor(0.8 n) train"
            f" and the rest test{together if group else ''}; add images, or give the split in the"
            " source"
        )
    if count > MOST_RECORDS:
        raise DataError(f"more than {MOST_RECORDS:,} {split} images: make several datasets")
