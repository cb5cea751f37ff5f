"""Figures as files: the same figure gives the same bytes with the same matplotlib.

Whatever its configuration; no display is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure
from PIL import Image

from netgen.figures.shapes import FONT
from netgen.system.files import write_all

DPI = 200  # of a PNG: two of its pixels are one of the picture's

# The formats, and the metadata left out of them: dates would make every run differ.
METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
SETTINGS = {
    "font.family": FONT,
    "mathtext.fontset": "dejavusans",
    # Whole pixels would shift straight lines against those with rounded corners.
    "path.snap": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "netgen",
    "pdf.fonttype": 42,
}


def save(make: Callable[[], Figure], file: Path, many_colors: bool = False) -> None:
    """Write the figure that `make` draws, whole or not at all, as the suffix says.

    Raises
    ------
    OSError
        The file could not be written; what was there is unchanged.
    """
    write_all({file: rendered(make, file.suffix.lower(), many_colors)})


def rendered(make: Callable[[], Figure], suffix: str, many_colors: bool = False) -> bytes:
    """Return the figure that `make` draws as a file's content.

    Parameters
    ----------
    make
        Draws the figure; called with matplotlib's settings as they should be.
    suffix
        The kind of file, of `METADATA`.
    many_colors
        Whether it needs more than 256 colours.
    """
    buffer = BytesIO()
    with style.context(["default", SETTINGS]):
        make().savefig(buffer, format=suffix[1:], dpi=DPI, metadata=METADATA[suffix])
    if suffix == ".png" and not many_colors:
        return _few_colors(buffer)
    if suffix == ".svg":  # a browser need not have matplotlib's font
        fonts = f"'{FONT}', Verdana, Helvetica, Arial, sans-serif"
        return buffer.getvalue().replace(f"'{FONT}'".encode(), fonts.encode())
    return buffer.getvalue()


def _few_colors(png: BytesIO) -> bytes:
    """Return a PNG in 256 colours: enough for smooth edges, in a third of the size."""
    smaller = BytesIO()
    with Image.open(png) as image:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(smaller, "PNG", optimize=True, dpi=(DPI, DPI))
    return smaller.getvalue()
