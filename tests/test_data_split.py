"""The split and the order: the rule that the paper's totals imply, for any listing; and twins."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from support.data import fail, photographs, records, succeed, table
from support.photographs import photograph, saved

from data_prep import duplicates, splitting
from data_prep.image_source import DataError, ImageSource, Item, Pixels, Reject
from data_prep.ledger import Ledger, Scan, ledger

SIZE = ("--size", 32)


def source(items: Sequence[Item | Reject], classes: int = 5) -> ImageSource:
    """A source that is only listed, never read."""

    def load(name: str) -> Pixels:
        raise NotImplementedError

    names = tuple(f"class {i}" for i in range(classes))
    return ImageSource("listed", {"fine": names, "coarse": ("x", "y")}, lambda: iter(items), load)


def item(name: str, label: int, **given: object) -> Item:
    return Item(name, {"fine": label, "coarse": label % 2}, **given)  # type: ignore[arg-type]


def drawn(
    items: Sequence[Item], contents: dict[str, bytes], seed: int = 0, group: bool = False
) -> list[tuple[str, str, int]]:
    """Return name, split and place of every item, `contents` being what a scan would hash."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        made: Ledger = stack.enter_context(ledger(Path(folder) / "ledger"))
        made.enter(source(items), seed, lambda _: None)
        for page in made.scans(100):
            made.scanned(
                (number, Scan(None, contents.get(name, name.encode()), 1, channels=3))
                for number, name, _ in page
            )
        duplicates.find(made, None)
        splitting.draw(made, source(items), group)
        return [
            (name.decode(), split, position)
            for name, split, position in made.rows("SELECT name, split, position FROM items")
        ]


@st.composite
def listings(draw: st.DrawFn) -> list[Item]:
    """Images of five classes, at least one of which has enough for both splits."""
    counts = [draw(st.integers(2, 30)), *draw(st.lists(st.integers(0, 30), max_size=4))]
    return [item(f"{label}/{i}", label) for label, count in enumerate(counts) for i in range(count)]


@settings(max_examples=40)
@given(listings(), st.integers(0, 2**32 - 1))
def test_of_the_n_images_of_a_class_floor_of_four_fifths_are_for_training(
    items: list[Item], seed: int
) -> None:
    found = {name: split for name, split, _ in drawn(items, {}, seed)}
    for label, n in Counter(each.labels["fine"] for each in items).items():
        train = sum(found[each.name] == "train" for each in items if each.labels["fine"] == label)
        assert train == 8 * n // 10


def crossed(items: Sequence[Item], found: dict[str, str], task: str) -> list[tuple[int, int]]:
    """How many images each class of a task has, and how many of them are for training."""
    counts = Counter(each.labels[task] for each in items)
    train = Counter(each.labels[task] for each in items if found[each.name] == "train")
    return [(n, train[label]) for label, n in sorted(counts.items())]


@settings(max_examples=40)
@given(st.lists(st.tuples(*[st.integers(0, 12)] * 2), min_size=5, max_size=5), st.integers(0, 99))
def test_a_task_that_the_finest_does_not_decide_gets_its_fifths_too(
    counts: list[tuple[int, int]], seed: int
) -> None:
    """Five subjects in two places, so many in each: within an image of what rounding leaves."""
    items = [
        Item(f"{fine}/{coarse}/{i}", {"fine": fine, "coarse": coarse})
        for fine, row in enumerate(counts)
        for coarse, count in enumerate(row)
        for i in range(count)
    ]
    try:
        found = {name: split for name, split, _ in drawn(items, {}, seed)}
    except DataError:  # too few
        reject()
    assert all(train == 8 * n // 10 for n, train in crossed(items, found, "fine"))
    places = crossed(items, found, "coarse")
    rounded_away = sum(4 * sum(row) % 5 for row in counts) / 5  # of all subjects, downwards
    for n, train in places:
        assert train <= 0.8 * n + 1
        assert train >= 0.8 * n - rounded_away - 1


def test_a_rare_place_is_neither_all_trained_nor_all_tested() -> None:
    """40 subjects with 4 images indoors and 1 outdoors: by subject alone, chance decides."""
    items = [
        Item(f"{fine}/{i}", {"fine": fine, "coarse": int(i == 4)})
        for fine in range(40)
        for i in range(5)
    ]
    for seed in range(3):
        with ExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory())
            made = stack.enter_context(ledger(Path(folder) / "ledger"))
            listed = source(items, classes=40)
            made.enter(listed, seed, lambda _: None)
            for page in made.scans(100):
                made.scanned((n, Scan(None, name.encode(), 1, channels=3)) for n, name, _ in page)
            splitting.draw(made, listed, group=False)
            found = {
                name.decode(): split for name, split in made.rows("SELECT name, split FROM items")
            }
        assert crossed(items, found, "coarse") == [(160, 128), (40, 32)]


@settings(max_examples=20)
@given(listings(), st.randoms(use_true_random=False))
def test_neither_split_nor_order_depends_on_how_images_are_listed(
    items: list[Item], chance: random.Random
) -> None:
    shuffled = chance.sample(items, len(items))
    assert sorted(drawn(shuffled, {})) == sorted(drawn(items, {}))


@settings(max_examples=20)
@given(listings())
def test_places_in_a_split_are_contiguous(items: list[Item]) -> None:
    found = drawn(items, {})
    for split in ("train", "test"):
        places = sorted(place for _, where, place in found if where == split)
        assert places == list(range(len(places)))


def test_the_draw_is_the_same_on_every_machine() -> None:
    found = drawn([item(f"{i}.jpg", 0) for i in range(10)], {}, seed=3)
    order = [name[0] for name, split, place in sorted(found, key=lambda row: (row[1], row[2]))]
    assert "".join(order) == "4582016973"  # two for test, eight for training


def test_another_seed_draws_another_split_and_another_order() -> None:
    items = [item(f"{i}.jpg", i % 5) for i in range(200)]
    one, two = ({n: (s, p) for n, s, p in drawn(items, {}, seed)} for seed in (0, 1))
    assert {n for n in one if one[n][0] == "test"} != {n for n in two if two[n][0] == "test"}
    assert one != two


def test_batches_hold_every_class() -> None:
    found = drawn([item(f"{i}.jpg", i // 400) for i in range(2_000)], {})
    labels = {f"{i}.jpg": i // 400 for i in range(2_000)}
    order = [
        labels[name] for name, split, _ in sorted(found, key=lambda r: r[2]) if split == "train"
    ]
    for start in range(0, 1_600, 100):
        assert min(Counter(order[start : start + 100]).values()) > 5
        assert len(set(order[start : start + 100])) == 5


def test_a_given_split_is_kept() -> None:
    splits = ["train", "test", "test"]
    items = [item(f"{i}.jpg", i % 5, split=splits[i % 3]) for i in range(60)]
    assert {n: s for n, s, _ in drawn(items, {})} == {each.name: each.split for each in items}


# Twins --------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(listings(), st.integers(1, 12), st.booleans())
def test_grouped_twins_are_on_one_side_and_no_class_trains_on_more_than_its_share(
    items: list[Item], contents: int, across: bool
) -> None:
    of = {each.name: b"%d" % (i % contents) for i, each in enumerate(items[: len(items) // 2])}
    if not across:
        of = {
            each.name: of[each.name] + b"%d" % each.labels["fine"]
            for each in items
            if each.name in of
        }
    try:
        found = {name: split for name, split, _ in drawn(items, of, group=True)}
    except DataError:  # all in one family
        reject()
    sides: dict[bytes, set[str]] = {}
    for name, content in of.items():
        sides.setdefault(content, set()).add(found[name])
    assert all(len(side) == 1 for side in sides.values())
    for label, n in Counter(each.labels["fine"] for each in items).items():
        train = sum(found[each.name] == "train" for each in items if each.labels["fine"] == label)
        assert train <= 8 * n // 10


def test_where_enough_images_have_no_twin_grouping_leaves_every_class_its_share() -> None:
    items = [item(f"{i}.jpg", i % 5) for i in range(200)]
    twins = {f"{i}.jpg": b"%d" % (i // 15) for i in range(60)}  # of three in every class
    found = {name: split for name, split, _ in drawn(items, twins, group=True)}
    for label in range(5):
        assert sum(found[e.name] == "train" for e in items if e.labels["fine"] == label) == 32


def test_without_grouping_twins_change_nothing() -> None:
    items = [item(f"{i}.jpg", i % 5) for i in range(200)]
    twins = {f"{i}.jpg": b"%d" % (i % 7) for i in range(60)}
    assert drawn(items, twins) == drawn(items, {})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """30 photographs, two of them three times, once in another class; and a paler one."""
    root = photographs(tmp_path / "root", {"a": 15, "b": 15})
    for i in range(2):
        content = (root / "a" / f"{i}.jpg").read_bytes()
        (root / "a" / f"copy of {i}.jpg").write_bytes(content)
        (root / "b" / f"copy of {i}.jpg").write_bytes(content)
    pale = photograph(5).point(lambda value: value * 0.9 + 20)
    (root / "a" / "pale.jpg").write_bytes(saved(pale, quality=60))
    return root


def families(out: Path) -> set[frozenset[str]]:
    rows = sorted(table(out / "duplicates.csv"), key=lambda row: row["family"])
    return {
        frozenset(row["name"] for row in rows)
        for _, rows in itertools.groupby(rows, key=lambda row: row["family"])
    }


COPIES = {frozenset({f"a/{i}.jpg", f"a/copy of {i}.jpg", f"b/copy of {i}.jpg"}) for i in range(2)}


def test_identical_images_are_reported(root: Path, tmp_path: Path) -> None:
    output = succeed("folder", root, "--out", tmp_path / "out", *SIZE)
    assert "Duplicates: 6 images in 2 families of the same pixels, each kept on one side" in output
    assert "2 families with different labels" in output
    assert families(tmp_path / "out") == COPIES
    where = {row["name"]: row for row in table(tmp_path / "out" / "records.csv")}
    for row in table(tmp_path / "out" / "duplicates.csv"):
        del row["family"]
        assert row == where[row["name"]]


def test_they_are_in_one_split(root: Path, tmp_path: Path) -> None:
    for seed in range(3):
        out = tmp_path / str(seed)
        succeed("folder", root, "--out", out, *SIZE, "--seed", seed)
        where = {row["name"]: row["split"] for row in table(out / "records.csv")}
        assert all(len({where[name] for name in family}) == 1 for family in families(out))


def test_near_identical_images_are_found_by_perceptual_hash(root: Path, tmp_path: Path) -> None:
    succeed("folder", root, "--out", tmp_path / "out", *SIZE, "--perceptual", 6)
    assert families(tmp_path / "out") == COPIES | {frozenset({"a/5.jpg", "a/pale.jpg"})}


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 2**12 - 1), min_size=2, max_size=40),
    st.integers(0, 8),
    st.integers(0, 2**32 - 1),
)
def test_no_pair_of_near_hashes_is_missed(lows: list[int], distance: int, seed: int) -> None:
    """Held against comparing all with all."""
    spread = np.random.RandomState(seed).permutation(64)[:12]
    hashes = [
        sum(1 << int(place) for bit, place in enumerate(spread) if low >> bit & 1) for low in lows
    ]
    signed = [value - 2**64 if value >= 2**63 else value for value in hashes]
    with TemporaryDirectory() as folder, ledger(Path(folder) / "ledger") as made:
        made.enter(source([item(f"{i}", 0) for i in range(len(lows))]), 0, lambda _: None)
        for page in made.scans(100):
            made.scanned(
                (number, Scan(None, name.encode(), 1, perceptual=signed[int(name)]))
                for number, name, _ in page
            )
        found = {frozenset(pair) for pair in duplicates._near(made, distance)}
    assert found == {
        frozenset((one, other))
        for one, other in itertools.combinations(set(signed), 2)
        if ((one ^ other) & (2**64 - 1)).bit_count() <= distance
    }


def test_a_published_split_cannot_be_grouped(tmp_path: Path) -> None:
    message = fail("fashion-mnist", "--out", tmp_path / "out", "--group-duplicates")
    assert "fashion-mnist says which images are for training and which for test" in message
    assert list(tmp_path.iterdir()) == []


# What may be a mistake ----------------------------------------------------------------------------


def test_classes_that_are_never_trained_or_never_tested_are_named(tmp_path: Path) -> None:
    root = photographs(tmp_path / "root", {"many": 10, "one": 1})
    (root / "none").mkdir()
    output = succeed("folder", root, "--out", tmp_path / "out", *SIZE)
    assert "Warning: class: 1 class(es) never trained: all images are in test: 'one'" in output
    assert {row["class:class"] for row in records(tmp_path / "out", "train")} == {"many"}


def test_each_class_is_warned_of_by_what_it_lacks_and_a_few_names_stand_for_many() -> None:
    counts = [
        *(splitting.ClassCount("place", f"rare {i}", 0, 1) for i in range(6)),
        splitting.ClassCount("place", "tested too", 4, 1),
        splitting.ClassCount("place", "known", 1, 0),
        splitting.ClassCount("thing", "unseen", 0, 0),
    ]
    assert splitting.warnings(counts) == [
        "place: 6 class(es) never trained: all images are in test:"
        " 'rare 0', 'rare 1', 'rare 2', 'rare 3', 'rare 4' and 1 more",
        "place: 1 class(es) never tested: all images are in train: 'known'",
        "thing: 1 class(es) without images: never trained, never tested: 'unseen'",
    ]


def test_copies_of_one_image_make_no_two_splits_and_the_message_says_what_would() -> None:
    items = [item(f"{i}", 0) for i in range(5)]
    with pytest.raises(DataError, match=r"no train images: .* \(unless --split-duplicates\)"):
        drawn(items, dict.fromkeys("01234", b"the same"), group=True)
    assert len(drawn(items, dict.fromkeys("01234", b"the same"), group=False)) == 5


def test_a_split_may_have_as_many_images_as_caffe_counts_and_not_one_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = [item(f"{i}", 0) for i in range(5)]
    monkeypatch.setattr(splitting, "MOST_RECORDS", 4)
    assert [split for _, split, _ in drawn(items, {})].count("train") == 4
    monkeypatch.setattr(splitting, "MOST_RECORDS", 3)
    with pytest.raises(DataError, match="more than 3 train images: make several datasets"):
        drawn(items, {})


def test_classes_that_differ_in_case_are_refused(tmp_path: Path) -> None:
    root = photographs(tmp_path / "root", {"Cat": 2, "cat": 2})
    message = fail("folder", root, "--out", tmp_path / "out")
    assert "class 'cat' and class 'Cat' differ only in case" in message
    assert "rename one" in message


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "no images: is this the right folder"),
        ([Reject("x", "no image")], "no image can be used. The first: 'x': no image"),
        ([item("x", 5)], "'x': fine 5: expected 0 to 4"),
        ([item("x", 0), item("x", 0)], "an image is listed twice"),
        ([Item("x", {"fine": 0})], "'x': labels of fine, but the tasks are fine, coarse"),
        ([item("x", 0)], "no train images: of the n of each class of 'fine'"),
        ([item("x", 0, split="train")], "of those for test none can be used: list some"),
        (
            [item("x", 0, split="train"), Reject("list.txt, line 1", "1 fields")],
            "for test none can be used. The first left out: 'list.txt, line 1': 1 fields",
        ),
    ],
)
def test_what_makes_no_dataset_is_refused(items: list[Item], message: str) -> None:
    with pytest.raises(DataError, match=message.replace("(", r"\(")):
        drawn(items, {})
