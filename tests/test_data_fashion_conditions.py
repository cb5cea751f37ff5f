"""`netgen data fashion-conditions`: real photographs as adjective-noun pairs like the paper's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.data import fail, first_published, pixels, records, succeed

from data_prep.fashion_conditions import (
    NOUNS,
    counts,
    fashion_conditions,
    unused_photographs,
)
from data_prep.fashion_mnist import ITEMS, PACKAGE_FOLDER, published
from data_prep.image_source import ImageSource, Item, SplitName
from data_prep.photo_conditions import CONDITIONS
from netgen.paper.ontology import adjectives_of, isolated, nouns_of, split_pair


@pytest.fixture(scope="module")
def source() -> ImageSource:
    return fashion_conditions()


@pytest.fixture(scope="module")
def items(source: ImageSource) -> list[Item]:
    return [item for item in source.items() if isinstance(item, Item)]


def original(item: Item) -> tuple[np.ndarray, int]:
    """The published photograph of an image, and its label."""
    split, _, place = item.name.partition("/")[2].partition("-")
    part: SplitName = "train" if split == "train" else "test"
    images, labels = published(PACKAGE_FOLDER, part)
    return images[int(place)], int(labels[int(place)])


def test_pairs_are_a_bipartite_graph_with_missing_edges_and_long_tails(items: list[Item]) -> None:
    pairs = counts()
    nouns, adjectives = nouns_of(pairs), adjectives_of(pairs)
    assert (len(nouns), len(adjectives)) == (len(CONDITIONS), len(NOUNS))
    assert len(pairs) < 0.7 * len(CONDITIONS) * len(NOUNS)
    assert min(map(len, nouns.values())) >= 3  # criterion (1) of section 5.1
    assert not isolated(list(pairs))
    assert 5_000 <= len(items) <= 20_000
    common = sorted(pairs.values(), reverse=True)
    assert sum(common[: len(common) // 10]) > sum(common[len(common) // 2 :])


def test_every_image_is_a_photograph_of_its_noun_and_each_is_used_once(
    source: ImageSource, items: list[Item]
) -> None:
    assert len({item.name.partition("/")[2] for item in items}) == len(items)
    assert Counter(item.name.partition("/")[0] for item in items) == counts()
    for item in items[::50]:
        pair = item.name.partition("/")[0]
        names = {task: source.tasks[task][label] for task, label in item.labels.items()}
        adjective, noun = split_pair(pair)
        assert names == {"noun": noun, "adj": adjective, "anp": pair}
        assert NOUNS.index(noun) == original(item)[1]
    assert len(NOUNS) == len(ITEMS)


@pytest.mark.parametrize("adjective", CONDITIONS)
def test_a_condition_changes_a_photograph_always_in_the_same_way(
    source: ImageSource, items: list[Item], adjective: str
) -> None:
    of = [item for item in items if item.name.startswith(f"{adjective}_")][:20]
    for item in of:
        image = source.load(item.name)
        assert isinstance(image, np.ndarray)
        assert image.shape == (28, 28, 1)
        assert np.array_equal(image, source.load(item.name))
        assert not np.array_equal(image, original(item)[0])
        assert image.std() > 1  # something is left to be seen


def test_conditions_do_what_they_are_called(source: ImageSource, items: list[Item]) -> None:
    def mean_of(adjective: str, what: object) -> float:
        of = [item for item in items if item.name.startswith(f"{adjective}_")][:100]
        before = np.mean([what(original(item)[0]) for item in of])  # type: ignore[operator]
        return float(np.mean([what(source.load(item.name)) for item in of]) / before)  # type: ignore[operator]

    def edges(image: np.ndarray) -> float:
        return float(np.abs(np.diff(image[..., 0].astype(float), axis=1)).mean())

    def inked(image: np.ndarray) -> float:
        return float((image > 30).mean())

    assert mean_of("dark", np.mean) < 0.8
    assert mean_of("blurred", edges) < 0.8
    assert mean_of("noisy", edges) > 1.2
    assert mean_of("distant", inked) < 0.7
    assert mean_of("close", inked) > 1.2
    assert mean_of("torn", inked) < 0.9
    assert mean_of("faded", np.std) < 0.8
    assert mean_of("misty", inked) > 1.2
    assert mean_of("shadowy", np.mean) < 0.9
    assert mean_of("dusty", np.max) >= 1.0
    assert 0.8 < mean_of("tilted", inked) < 1.1


def test_the_dataset_is_made_by_one_command_with_the_papers_split(tmp_path: Path) -> None:
    out = tmp_path / "made"
    said = succeed("fashion-conditions", "--out", out)
    assert "anp: 66 classes" in said
    rows = records(out, "train") + records(out, "test")
    assert len(rows) == sum(counts().values())
    trained = Counter(row["class:anp"] for row in records(out, "train"))
    assert all(abs(trained[pair] - 0.8 * count) <= 2 for pair, count in counts().items())
    assert pixels(out, "train").shape[1:] == (1, 28, 28)
    assert "no train-images-idx3-ubyte.gz in" in fail(
        "fashion-conditions", "--source-folder", tmp_path, "--out", tmp_path / "none"
    )


def test_the_photographs_that_are_left_are_whole_and_none_is_in_both(
    source: ImageSource, items: list[Item]
) -> None:
    left = unused_photographs()
    rest = [item for item in left.items() if isinstance(item, Item)]
    used = {item.name.partition("/")[2] for item in items}
    assert not used & {item.name for item in rest}
    assert len(used) + len(rest) == 70_000
    for item in rest[::5_000]:
        image, label = original(Item(f"none/{item.name}", {}))
        assert np.array_equal(left.load(item.name), image)
        assert item.labels == {"item": label}
    assert succeed("fashion-conditions", "--help").count("--unused") == 1


@pytest.mark.parametrize("words", [(), ("--unused",)])
def test_a_part_of_the_photographs_is_not_enough(words: tuple[str, ...], tmp_path: Path) -> None:
    some = first_published(tmp_path / "some")
    said = fail("fashion-conditions", "--source-folder", some, "--out", tmp_path / "out", *words)
    assert f"{some}: " in said
    assert "photographs of tee, and pairs need" in said
    assert not (tmp_path / "out").exists()
