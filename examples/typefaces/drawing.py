"""A character in a typeface, as a small image."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

# In pixels. Letters have a common baseline, as in print, which distinguishes g from 9.
SIDE = 32
EM = 26
BASELINE = 22
INK = 128  # an image without a pixel darker than this counts as empty


def font_of(file: Path) -> ImageFont.FreeTypeFont:
    """Return a font of `EM` pixels, laid out without the system's shaping library.

    So that the same images come out wherever they are drawn.
    """
    return ImageFont.truetype(file, EM, layout_engine=ImageFont.Layout.BASIC)


def draw(character: str, font: ImageFont.FreeTypeFont) -> Image.Image | None:
    """Return a character in black on white, `SIDE` x `SIDE`; None when it is empty or too large."""
    left, top, right, bottom = font.getbbox(character, anchor="ls")
    fits = right - left <= SIDE and top >= -BASELINE and bottom <= SIDE - BASELINE
    if not fits or right <= left or bottom <= top:
        return None
    image = Image.new("L", (SIDE, SIDE), 255)
    x = (SIDE - (right - left)) // 2 - left
    ImageDraw.Draw(image).text((x, BASELINE), character, fill=0, font=font, anchor="ls")
    return image if min(image.tobytes()) < INK else None
