"""The look of every figure, and figures as files.

The same figure gives the same bytes with the same matplotlib, whatever its configuration; no
display is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from PIL import Image

from netgen.system.files import write_all

FONT = "DejaVu Sans"  # comes with matplotlib: the same text everywhere
# It tells of every weight that a family lacks; none of them is looked for by a user.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

Range = tuple[float, float, float]  # mean, least, most: of several trainings

# Fonts of symbols in the places of letters, and one that has a box for every character.
NO_LETTERS = ("cm", "STIXNonUnicode", "STIXSize", "Last Resort", ".LastResort")
# Okabe and Ito's colours, distinct for colour-blind readers; their red is for cross-residuals only.
TASK_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#8A7A00")
CROSS_COLOR = "#D62F1F"
INK = "#1F2933"
GRID = "#DDE2E7"
TITLE_SIZE, TEXT_SIZE = 10.5, 8.5  # points
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)))
PANEL = (4.6, 3.4)  # inches

DPI = 200  # of a PNG: two of its pixels are one of the picture's

# The formats, and the metadata omitted from them: dates would make every run differ.
METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
SETTINGS = {
    "font.family": FONT,
    "text.parse_math": False,  # names are drawn as they are written, with $, \\, _ and ^
    "mathtext.fontset": "dejavusans",
    # Whole pixels would shift straight lines against those with rounded corners.
    "path.snap": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "netgen",
    "pdf.fonttype": 42,
}


# Files --------------------------------------------------------------------------------------------


def save_figure(make: Callable[[], Figure], file: Path, many_colors: bool = False) -> None:
    """Write the figure that `make` draws, completely or not at all, in the suffix's format.

    Raises
    ------
    OSError
        The file could not be written; an existing file is unchanged.
    """
    write_all({file: figure_bytes(make, file.suffix.lower(), many_colors)})


def figure_bytes(make: Callable[[], Figure], suffix: str, many_colors: bool = False) -> bytes:
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
        figure = make()
        _letter(figure)
        figure.savefig(buffer, format=suffix[1:], dpi=DPI, metadata=METADATA[suffix])
    if suffix == ".png" and not many_colors:
        return _few_colors(buffer)
    if suffix == ".svg":  # a browser need not have matplotlib's font
        fonts = f"'{FONT}', Verdana, Helvetica, Arial, sans-serif"
        return buffer.getvalue().replace(f"'{FONT}'".encode(), fonts.encode())
    return buffer.getvalue()


def _few_colors(png: BytesIO) -> bytes:
    """Return a PNG in 256 colours: enough for smooth edges, at a third of the size."""
    smaller = BytesIO()
    with Image.open(png) as image:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(smaller, "PNG", optimize=True, dpi=(DPI, DPI))
    return smaller.getvalue()


# Names --------------------------------------------------------------------------------------------


def as_drawn(text: str) -> str:
    r"""Return a text with an escape (\\U0001f431) for each character that no installed font has."""
    return "".join(
        sign if sign == "\n" or _font_with(sign) else sign.encode("unicode_escape").decode()
        for sign in text
    )


def _letter(figure: Figure) -> None:
    """Give every text of a figure the fonts that have its letters."""
    texts = [each for each in figure.findobj(Text) if isinstance(each, Text)]
    for each in texts:
        if not each.get_parse_math():
            each.set_text(as_drawn(each.get_text()))
    fonts = {_font_with(sign) for each in texts for sign in each.get_text()} - {FONT, None}
    if fonts:
        for each in texts:
            each.set_fontfamily([FONT, *sorted(filter(None, fonts))])


@cache
def _font_with(sign: str) -> str | None:
    """Return the first font family with this character, in both weights; None if there is none."""
    installed = {entry.name for entry in fontManager.ttflist} - {FONT}
    usable = sorted(name for name in installed if not name.startswith(NO_LETTERS))
    return next((name for name in (FONT, *usable) if ord(sign) in _letters(name)), None)


@cache
def _letters(family: str) -> frozenset[int]:
    """Return the characters that a font family has in both weights."""
    return _charmap(family, "normal") & _charmap(family, "bold")


def _charmap(family: str, weight: str) -> frozenset[int]:
    try:
        file = findfont(FontProperties(family=family, weight=weight), fallback_to_default=False)
        font = FT2Font(file)
        font.set_size(10, 72)  # a font of coloured pictures has no outlines, and fails here
    except (ValueError, RuntimeError, OSError):
        return frozenset()
    return frozenset(font.get_charmap())


# Charts -------------------------------------------------------------------------------------------


def chart_row(count: int, size: tuple[float, float] = PANEL) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with `count` charts side by side."""
    width, height = size
    figure = Figure(figsize=(width * count, height), facecolor="white", layout="constrained")
    row = figure.subplots(1, count, squeeze=False)[0]
    for axes in row:
        style_axes(axes)
    return figure, list(row)


def line_color(index: int) -> str:
    """Return the colour of the line with this index."""
    return TASK_COLORS[index % len(TASK_COLORS)]


def line_style(index: int) -> object:
    """Return the dash pattern of the line with this index; the first is solid."""
    return DASHES[index % len(DASHES)]


def set_titles(axes: Axes, title: str, x: str = "", y: str = "") -> None:
    """Give a chart its title and its axes' names."""
    axes.set_title(title, fontsize=TITLE_SIZE, color=INK, fontweight="bold", loc="left")
    axes.set_xlabel(x, fontsize=TEXT_SIZE, color=INK)
    axes.set_ylabel(y, fontsize=TEXT_SIZE, color=INK)


def in_legend(name: str) -> str:
    """Return a name as a legend shows it: matplotlib leaves out those that begin with _."""
    return f" {name}" if name.startswith("_") else name


def add_legend(axes: Axes, columns: int = 1) -> None:
    """Draw a legend without a frame where it hides least."""
    drawn = axes.legend(
        loc="best", ncols=columns, fontsize=TEXT_SIZE, labelcolor=INK, framealpha=0.85
    )
    drawn.get_frame().set_linewidth(0)


def style_axes(axes: Axes) -> None:
    """Give a chart's frame, ticks and grid their look."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#8894A0")
    axes.tick_params(labelsize=TEXT_SIZE, colors="#5A6672", labelcolor=INK, length=3)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
