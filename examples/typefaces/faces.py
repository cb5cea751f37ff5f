"""Typefaces: downloaded from Debian, with the style that each font file states."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTFont, TTLibError

# The OpenType specification, table OS/2: usWeightClass, usWidthClass, fsSelection bit 0.
LIGHT, BOLD, HEAVIEST = 300, 600, 1000
CONDENSED = 4
ITALIC = 1
# As wide in one face only when every letter is.
WIDEST_AND_NARROWEST = "iIlmMwW1a"


@dataclass(frozen=True)
class Face:
    """A font file that has every requested character.

    Attributes
    ----------
    package
        Debian's package that it comes from, with its version.
    file
        The path of the file.
    style
        The style that the file states: "regular", or "bold", "bold-italic", …
    """

    package: str
    file: Path
    style: str

    @property
    def name(self) -> str:
        """The face's unique name: package and file, without the version."""
        return f"{self.package.partition('_')[0].removeprefix('fonts-')}-{self.file.stem}"


def fetch(packages: Iterable[str], folder: Path) -> None:
    """Download and unpack what `folder` does not hold yet; needs no root, installs nothing.

    Raises
    ------
    subprocess.CalledProcessError
        ``apt-get`` or ``dpkg-deb`` failed; its message is on the terminal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [p for p in packages if not any(folder.glob(f"{p}_*.deb"))]
    if missing:
        subprocess.run(["apt-get", "download", "--quiet", *missing], cwd=folder, check=True)
    for deb in sorted(folder.glob("*.deb")):
        if not deb.with_suffix("").exists():
            subprocess.run(["dpkg-deb", "-x", deb, deb.with_suffix("")], check=True)


def faces(folder: Path, packages: Iterable[str], characters: str) -> Iterator[Face]:
    """Yield the faces of these packages in `folder` that have all the characters."""
    for package in packages:
        [unpacked] = (path for path in folder.glob(f"{package}_*") if path.is_dir())
        for file in sorted(unpacked.rglob("*.[ot]tf")):
            style = None if file.is_symlink() else _style(file, characters)
            if style is not None:
                yield Face(unpacked.name, file, style)


def _style(file: Path, characters: str) -> str | None:
    """Return the style that a font file states, or None when it lacks a character or a table."""
    try:
        with TTFont(file, lazy=True) as font:
            glyphs = font.getBestCmap() or {}
            if any(ord(character) not in glyphs for character in characters):
                return None
            return "-".join(_marks(font)) or "regular"
    except (TTLibError, KeyError, AssertionError):
        return None  # some old files lack a table; what states no style has none


def _marks(font: TTFont) -> list[str]:
    os2 = font["OS/2"]
    marks = {
        "light": os2.usWeightClass <= LIGHT,
        "bold": BOLD <= os2.usWeightClass <= HEAVIEST,
        "condensed": 1 <= os2.usWidthClass <= CONDENSED,
        "italic": bool(os2.fsSelection & ITALIC) or font["post"].italicAngle != 0,
        "monospaced": len(_widths(font)) == 1,
    }
    return [mark for mark, holds in marks.items() if holds]


def _widths(font: TTFont) -> set[int]:
    glyphs, metrics = font.getBestCmap(), font["hmtx"]
    return {metrics[glyphs[ord(character)]][0] for character in WIDEST_AND_NARROWEST}
