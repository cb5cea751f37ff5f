"""The example's typefaces, made small: faces that matplotlib brings, each drawn several times."""

from __future__ import annotations

import csv
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import matplotlib
import numpy as np
from PIL import Image

from support.paths import ROOT

FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"
DRAWN = 5  # times a face is drawn: to be split twice takes some images a pair


def example() -> ModuleType:
    """Return examples/typefaces/make.py as a module."""
    return _module("make")


def wearing() -> ModuleType:
    """Return examples/typefaces/wearing.py as a module."""
    return _module("wearing")


def _module(name: str) -> ModuleType:
    if (folder := str(ROOT / "examples/typefaces")) not in sys.path:
        sys.path.insert(0, folder)
    return import_module(name)


def packages(folder: Path) -> Path:
    """Put faces into `folder` as a package of Debian's is unpacked."""
    (folder / "fonts-dejavu_1.0_all").mkdir(parents=True)
    for file in FONTS.glob("DejaVuSans*.ttf"):
        if "Display" not in file.name:  # a few characters only
            (folder / "fonts-dejavu_1.0_all" / file.name).write_bytes(file.read_bytes())
    return folder


def draw(
    folder: Path, letters: str | None = None, capitals: str | None = None, worn: bool = False
) -> list[str]:
    """Make in `folder` what the example makes, of these characters; return the styles' names."""
    make = example()
    letters, capitals = letters or make.LETTERS, capitals or make.CAPITALS
    patched: dict[str, Any] = {"LETTERS": letters, "CAPITALS": capitals, "IMAGES_PER_PAIR": 1}
    with mock.patch.multiple(make, **patched):
        found = make.faces(packages(folder / "packages"), ["fonts-dejavu"], letters + capitals)
        drawn = [face for face in make.chosen_of(found) if make.draw_all(face, folder, worn)]
        for file in list(folder.rglob("*.png")):
            for number in range(1, DRAWN):
                _draw_again(file, number)
        make.write_lists(drawn, folder)
        make.make_databases(folder)
    return sorted(face.style for face in drawn)


def _draw_again(file: Path, number: int) -> None:
    """Draw a face again, with one pixel of its edge changed: the same pixels would be one image."""
    with Image.open(file) as image:
        pixels = np.array(image)
    pixels[0, number] = 255 - pixels[0, number]
    Image.fromarray(pixels).save(file.with_name(f"again{number}-{file.name}"))


def names(dataset: Path) -> dict[str, set[str]]:
    """Return the names of a dataset's images, by split."""
    found: dict[str, set[str]] = {"train": set(), "test": set()}
    with (dataset / "records.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["split"]].add(row["name"])
    return found
