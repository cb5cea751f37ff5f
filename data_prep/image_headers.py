"""Read an image file's format and size from its header, without decoding it."""

from __future__ import annotations

import io
import re
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import simplejpeg
from PIL import Image

# 300 MB decoded; photographs of social networks have fewer pixels.
MAX_PIXELS = 100_000_000

# Format -> what its files start with.
FORMATS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WebP": rb"RIFF....WEBP",
    "BMP": rb"BM",
    "TIFF": rb"II\*\0|MM\0\*",
}
# Other files that are found among images.
OTHER_FORMATS = {
    "a GIF": rb"GIF8",
    "an AVIF or HEIC image": rb"....ftyp(avi|hei|mif|msf)",
    "a JPEG 2000 image": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "a video": rb"....ftyp",
    "a web page or SVG": rb"(\xef\xbb\xbf)?\s*<[!?a-zA-Z]",
}

END_OF_JPEG = b"\xff\xd9"
ORIENTATION = 0x0112  # EXIF's tag
UPRIGHT = 1

# Sizes are checked here; Pillow's warnings about odd files would clutter the terminal.
Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", module=r"PIL\.")


class Rejected(ValueError):  # noqa: N818 - the word that the reports use
    """An image that is rejected; the message is the reason, as in `rejects.csv`."""


@dataclass(frozen=True)
class Facts:
    """Facts from an image file's header; height and width in pixels, as they are stored."""

    format: str
    height: int
    width: int
    orientation: int = UPRIGHT  # EXIF's, 1 to 8

    @property
    def rotated(self) -> bool:
        """Whether it carries an EXIF orientation other than upright."""
        return self.orientation != UPRIGHT


def read_header(content: bytes, lenient: bool) -> Facts:
    """Return the facts in the header of an image file's `content`.

    Raises
    ------
    Rejected
        Not one of `FORMATS`, animated, damaged (unless `lenient`) or of more than `MAX_PIXELS`.
    """
    format_ = _format(content)
    if format_ == "JPEG" and not lenient:
        facts = _jpeg_header(content)
    else:
        facts = _pillow_header(content, format_, lenient)
    if facts.height * facts.width > MAX_PIXELS:
        raise Rejected(
            f"{facts.width} x {facts.height} pixels: more than {MAX_PIXELS:,}: scale it down"
        )
    return facts


def looks_whole(content: bytes, format_: str) -> bool:
    """Return whether an image looks complete, as far as that can be known without decoding it.

    Call it after `read_header` (not lenient) has accepted the image. A PNG's checksums are right,
    then; a JPEG must have an end marker behind its header, where an EXIF preview may have its own.
    The other formats have neither.
    """
    if format_ == "JPEG":
        header = max((end for _, _, end in _jpeg_segments(content)), default=0)
        return content.rfind(END_OF_JPEG, header) > 0
    return format_ == "PNG"


def _format(content: bytes) -> str:
    if not content:
        raise Rejected("empty file")
    for name, start in FORMATS.items():
        if re.match(start, content, re.DOTALL):
            return name
    for name, start in OTHER_FORMATS.items():
        if re.match(start, content, re.DOTALL):
            raise Rejected(f"{name}: only {', '.join(FORMATS)} are taken")
    raise Rejected(f"starts with {content[:4].hex()}: no {', '.join(FORMATS)}")


def _jpeg_header(content: bytes) -> Facts:
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(content)
    except ValueError as error:
        raise Rejected(f"damaged JPEG: {error}") from None
    except KeyError:  # a subsampling or colour space that libjpeg-turbo has no name for
        raise unreadable("JPEG") from None
    return Facts("JPEG", int(height), int(width), _orientation(_jpeg_exif(content)))


def _jpeg_exif(content: bytes) -> bytes:
    """Return the EXIF segment that stands before the image data, or nothing."""
    for kind, start, end in _jpeg_segments(content):
        if kind == b"\xe1" and content[start : start + 6] == b"Exif\0\0":
            return content[start:end]
    return b""


def _jpeg_segments(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of every segment before the image data, and where its content is."""
    at = 2
    while content[at : at + 1] == b"\xff" and content[at + 1 : at + 2] != b"\xda":
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        yield content[at + 1 : at + 2], at + 4, end
        at = end


def _orientation(exif: bytes) -> int:
    if not exif:
        return UPRIGHT
    tags = Image.Exif()
    try:
        tags.load(exif)
        found = int(tags.get(ORIENTATION, UPRIGHT))
    except Exception:  # Pillow raises a dozen kinds; damaged EXIF does not affect pixels
        return UPRIGHT
    return found if 1 <= found <= 8 else UPRIGHT


def _pillow_header(content: bytes, format_: str, lenient: bool) -> Facts:
    if format_ == "PNG" and not lenient:
        _check_png(content)
    try:
        with Image.open(io.BytesIO(content), formats=[format_]) as image:
            if format_ in ("PNG", "WebP") and getattr(image, "n_frames", 1) > 1:
                raise Rejected(f"animated {format_}: save the frame that is meant")
            # OpenCV itself turns a TIFF upright, which has the tag elsewhere.
            orientation = _orientation(image.info.get("exif", b""))
            return Facts(format_, image.height, image.width, orientation)
    except Rejected:
        raise
    except Exception:  # Pillow raises a dozen kinds
        raise unreadable(format_) from None


def _check_png(content: bytes) -> None:
    """Check every chunk's checksum up to the last; OpenCV would print an error and continue."""
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 8 + length
        if end + 4 > len(content):
            raise Rejected("truncated PNG")
        checksum = int.from_bytes(content[end : end + 4], "big")
        if zlib.crc32(memoryview(content)[at + 4 : end]) != checksum:
            raise Rejected("damaged PNG: wrong checksum")
        at = end + 4


def unreadable(format_: str) -> Rejected:
    """Return the reject for a file that a decoder refuses without a reason."""
    return Rejected(f"truncated or damaged {format_}, or of an uncommon kind")
