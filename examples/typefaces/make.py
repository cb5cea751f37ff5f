"""Makes a dataset like the paper's from freely available images: letters in typefaces.

The adjective is a typeface's style as its file states it, the noun is the letter, the pair is "bold
a". Each letter of each face is drawn into ``<adjective>_<noun>/<face>.png``, the layout of the
Visual Sentiment Ontology. The images are processed like the paper's: the sub-ontology
(``netgen data ontology``), then the databases (``netgen data mtvso``). Capitals and digits go into
a separate dataset for pretraining: no image is in both. ``--worn`` draws all of them as bad copies
show them, which is harder: clean letters are told apart in 98 of 100 cases.
"""

from __future__ import annotations

import csv
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits

import click
from drawing import SIDE, draw, font_of
from faces import Face, faces, fetch
from rich.progress import track
from wearing import worn as worn_copy

HERE = Path(__file__).parent
LETTERS = ascii_lowercase
CAPITALS = ascii_uppercase + digits

FACES_PER_STYLE = 100  # else common styles would dominate; the paper has at most 1,000 per pair
IMAGES_PER_PAIR = 25  # the paper has at least 500


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to make.  [default: data/typefaces, or data/typefaces-worn]",
)
@click.option(
    "--worn", is_flag=True, help="Draw characters as bad copies show them, which is harder."
)
@click.option(
    "--packages",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/typefaces"),
    show_default=True,
    help="Where Debian's packages are downloaded to and unpacked.",
)
def main(out: Path | None, worn: bool, packages: Path) -> None:
    """Draw the typefaces of packages.txt, and make their databases: about two minutes."""
    out = out or Path("data/typefaces-worn" if worn else "data/typefaces")
    if out.exists():
        raise click.ClickException(f"{out} exists: remove it, or name another folder (--out)")
    names = listed(HERE / "packages.txt")
    try:
        fetch(names, packages)
    except (OSError, subprocess.CalledProcessError) as error:
        raise click.ClickException(
            f"Debian's packages could not be fetched ({error}): on Debian 12, see that `apt-get"
            " update` works, then run this again"
        ) from None
    chosen = chosen_of(faces(packages, names, LETTERS + CAPITALS))
    drawn = [face for face in track(chosen, "drawing") if draw_all(face, out, worn)]
    write_lists(drawn, out)
    make_databases(out)


def listed(file: Path) -> list[str]:
    """Return the lines of a file that are no comments."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def chosen_of(found: Iterable[Face]) -> list[Face]:
    """Return `FACES_PER_STYLE` faces of each style or all it has, by the hash of their names."""
    by_name = {face.name: face for face in found}
    styles: dict[str, list[Face]] = {}
    for name in sorted(by_name, key=lambda name: blake2b(name.encode()).digest()):
        styles.setdefault(by_name[name].style, []).append(by_name[name])
    return [face for style in sorted(styles) for face in styles[style][:FACES_PER_STYLE]]


def draw_all(face: Face, out: Path, worn: bool = False) -> bool:
    """Draw every character of `face`, or none when one of them is empty or does not fit."""
    font = font_of(face.file)
    tried = ((character, draw(character, font)) for character in LETTERS + CAPITALS)
    images = {character: image for character, image in tried if image}
    if len(images) < len(LETTERS + CAPITALS):
        return False
    for character, image in images.items():
        pair = f"images/{face.style}_{character}"
        folder = out / (pair if character in LETTERS else f"capitals/{character}")
        folder.mkdir(parents=True, exist_ok=True)
        (worn_copy(image) if worn else image).save(folder / f"{face.name}.png")
    return True


def write_lists(drawn: Iterable[Face], out: Path) -> None:
    """Write the drawn pairs as an ontology, and the drawn faces as a table."""
    pairs = sorted(folder.name for folder in (out / "images").iterdir())
    (out / "pairs.txt").write_text("\n".join(pairs) + "\n")
    with (out / "faces.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["face", "style", "package"])
        table.writerows([face.name, face.style, face.package] for face in drawn)


def make_databases(out: Path) -> None:
    """Make the databases as from the paper's images."""
    netgen(
        "ontology", out / "pairs.txt", "--images", out / "images", "--out", out / "ontology",
        "--min-images", IMAGES_PER_PAIR,
    )  # fmt: skip
    alike = ("--size", SIDE)  # many faces differ in a few letters only: those stay together
    pairs = (*alike, "--labels", out / "ontology")
    netgen("mtvso", out / "images", "--out", out / "letters", *pairs)
    keep_training_images(out)
    netgen("mtvso", out / "training", "--out", out / "choosing", *pairs)
    netgen("folder", out / "capitals", "--task", "character", "--out", out / "pretraining", *alike)


def keep_training_images(out: Path) -> None:
    """Copy the training images, to be split again: choices are made without the test images."""
    with (out / "letters" / "records.csv").open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file) if row["split"] == "train"]
    for name in names:
        (out / "training" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(out / "images" / name, out / "training" / name)


def netgen(*arguments: object) -> None:
    """Run ``netgen data``; end when it fails."""
    words = ["data", *map(str, arguments)]
    click.echo(f"$ netgen {shlex.join(words)}")
    if subprocess.run([Path(sys.executable).parent / "netgen", *words], check=False).returncode:
        raise click.ClickException("this step failed: see above")


if __name__ == "__main__":
    main()
