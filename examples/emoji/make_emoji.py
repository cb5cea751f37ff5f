"""Makes a dataset like the paper's from freely available images: people as emoji.

The noun is the concept (a firefighter, somebody who swims), whoever does it; the adjective is the
tone of skin; the pair is "dark firefighter". Each drawing of each vendor is placed four times, into
``<adjective>_<noun>/<vendor>-<code>-<number>.png``, the layout of the Visual Sentiment Ontology.
There are two datasets of the same images: split as the paper's, and with a vendor kept for the
test, whose style no network has seen. Pictures of one drawing are always on one side of a split.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import click
from concepts import Emoji, emoji_of
from PIL import Image
from placing import SIDE, placed
from rich.progress import track
from vendors import VendorError, fetch, listed, read

HERE = Path(__file__).parent
IMAGES_PER_PAIR = 6  # the paper has at least 500: a man, a woman and a person of two vendors
PICTURES = 4  # of each drawing: there are few
UNSEEN = "fluent"  # the vendor whose drawings are for the test alone, in the second dataset
TRAINED = 0.8  # of a pair's drawings, rounded down: section 5.1, as its totals imply
Drawn = dict[str, dict[str, Image.Image]]  # vendor -> code points -> drawing


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data/emoji"),
    show_default=True,
    help="The folder to make.",
)
@click.option(
    "--packages",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/emoji"),
    show_default=True,
    help="Where npm's packages are downloaded to.",
)
def main(out: Path, packages: Path) -> None:
    """Place the drawings of packages.txt, and make their databases: about a minute."""
    if out.exists():
        raise click.ClickException(f"{out} exists: remove it, or name another folder (--out)")
    wanted = listed(HERE / "packages.txt")
    try:
        fetch(wanted, packages)
        drawn, content = {}, b""
        for package in wanted:
            drawn[package.vendor], found = read(package, packages)
            content = content or found
        chosen = chosen_of(emoji_of(content), drawn)
    except (OSError, VendorError, json.JSONDecodeError) as error:
        raise click.ClickException(str(error)) from None
    place_all(chosen, out)
    make_databases(out)


@dataclass(frozen=True)
class Drawing:
    """A vendor's drawing of an emoji; `rank` is its place in an order of no meaning."""

    vendor: str
    emoji: Emoji
    image: Image.Image
    rank: bytes

    @property
    def pair(self) -> str:
        """The adjective-noun pair."""
        return f"{self.emoji.adjective}_{self.emoji.noun}"


def chosen_of(emoji: Iterable[Emoji], drawn: Drawn) -> list[Drawing]:
    """Return the drawings of the concepts that have `IMAGES_PER_PAIR` in every tone.

    A vendor draws some that differ in words only; those after the first are left out.
    """
    found: dict[bytes, Drawing] = {}
    for each in emoji:
        for vendor in drawn:
            if image := drawn[vendor].get(each.code):
                rank = blake2b(image.tobytes(), digest_size=16).digest()
                found.setdefault(rank, Drawing(vendor, each, image, rank))
    counts = Counter(drawing.pair for drawing in found.values())
    tones = Counter(pair.partition("_")[2] for pair in counts if counts[pair] >= IMAGES_PER_PAIR)
    most = max(tones.values(), default=0)
    return [drawing for drawing in found.values() if tones[drawing.emoji.noun] == most]


def place_all(chosen: list[Drawing], out: Path) -> None:
    """Place each drawing, and write both datasets' lists of images."""
    trained = drawn_split(chosen)
    lists: dict[str, list[str]] = {name: [] for name in ("train", "test", "seen", "unseen")}
    for drawing in track(chosen, "placing"):
        (out / "images" / drawing.pair).mkdir(parents=True, exist_ok=True)
        for number in range(PICTURES):
            name = f"{drawing.pair}/{drawing.vendor}-{drawing.emoji.code}-{number}.png"
            placed(drawing.image, number).save(out / "images" / name)
            line = f"{name} {drawing.pair} {drawing.emoji.noun} {drawing.emoji.adjective}\n"
            lists["train" if drawing.rank in trained else "test"].append(line)
            lists["unseen" if drawing.vendor == UNSEEN else "seen"].append(line)
    for name, lines in lists.items():
        (out / f"{name}.txt").write_text("".join(lines))


def drawn_split(chosen: Iterable[Drawing]) -> set[bytes]:
    """Return the ranks of the drawings that are for training: `TRAINED` of each pair's."""
    pairs: dict[str, list[bytes]] = {}
    for drawing in chosen:
        pairs.setdefault(drawing.pair, []).append(drawing.rank)
    return {rank for ranks in pairs.values() for rank in sorted(ranks)[: int(TRAINED * len(ranks))]}


def make_databases(out: Path) -> None:
    """Make the databases as from the paper's images: one split drawn, one by vendor."""
    for name, train, test in (("emoji", "train", "test"), ("unseen-vendor", "seen", "unseen")):
        lists = ("--train", out / f"{train}.txt", "--test", out / f"{test}.txt")
        netgen("mtvso", out / "images", "--size", SIDE, *lists, "--out", out / name)


def netgen(*arguments: object) -> None:
    """Run ``netgen data``; end when it fails."""
    words = ["data", *map(str, arguments)]
    click.echo(f"$ netgen {shlex.join(words)}")
    if subprocess.run([Path(sys.executable).parent / "netgen", *words], check=False).returncode:
        raise click.ClickException("this step failed: see above")


if __name__ == "__main__":
    main()
