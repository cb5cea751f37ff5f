"""Images that are not taken, or damaged by code: a reason for each."""

from __future__ import annotations

import re
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.images import LENIENT, PHOTO, STRICT, by_caffe, glanced, jpegs, reason
from support.photographs import photograph, saved

from data_prep import image_headers, images
from data_prep.images import Rejected, decode, glance, scan

# ---- Not taken ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (bytes(5000), "starts with 00000000: no JPEG, PNG, WebP, BMP, TIFF"),
        (b"x", "starts with 78: no JPEG, PNG, WebP, BMP, TIFF"),
        (saved(PHOTO, "GIF"), "a GIF: only JPEG, PNG, WebP, BMP, TIFF are taken"),
        (saved(PHOTO, "AVIF"), "an AVIF or HEIC image: only JPEG, .* are taken"),
        (saved(PHOTO, "JPEG2000"), "a JPEG 2000 image: only JPEG, .* are taken"),
        (b"\n<!DOCTYPE html><html>", "a web page or SVG: only JPEG, .* are taken"),
        (b"\0\0\0\x18ftypmp42", "a video: only JPEG, .* are taken"),
    ],
    ids=["empty", "zeros", "x", "gif", "avif", "jpeg2000", "html", "video"],
)
def test_other_files_are_rejected_with_what_they_are(content: bytes, message: str) -> None:
    assert re.fullmatch(message, reason(content))
    assert re.fullmatch(message, reason(content, LENIENT))


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WebP"])
def test_what_moves_is_rejected(format_: str) -> None:
    content = saved(PHOTO, format_, save_all=True, append_images=[photograph(1)])
    assert re.match("a GIF|animated PNG|animated WebP", reason(content))


def test_a_tiff_of_numbers_that_are_no_colours_is_rejected() -> None:
    content = saved(PHOTO.convert("F"), "TIFF")
    assert reason(content) == "truncated or damaged TIFF, or of an uncommon kind"


def huge(format_: str) -> bytes:
    """A small file whose header says 30,000 x 30,000."""
    content = bytearray(saved(PHOTO, format_))
    if format_ == "JPEG":
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = struct.pack(">HH", 30_000, 30_000)
    elif format_ == "PNG":
        content[16:24] = struct.pack(">II", 30_000, 30_000)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    elif format_ == "BMP":
        content[18:26] = struct.pack("<II", 30_000, 30_000)
    else:
        for tag in (256, 257):
            at = content.index(struct.pack("<HHI", tag, 4, 1)) + 8
            content[at : at + 4] = struct.pack("<I", 30_000)
    return bytes(content)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "BMP", "TIFF"])
def test_a_huge_image_is_rejected_before_it_is_decoded(format_: str) -> None:
    tracemalloc.start()
    said = reason(huge(format_))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert said == "30000 x 30000 pixels: more than 100,000,000: scale it down"


def test_as_many_pixels_as_may_be_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_headers, "MAX_PIXELS", 120 * 90)
    assert decode(saved(PHOTO), STRICT).shape == (224, 224, 3)
    assert "more than" in reason(saved(photograph(0, 121, 90)))


# ---- Damaged ------------------------------------------------------------------------------------


CUTS = [share / 20 for share in range(6, 20)]
WHOLE = {
    "JPEG": saved(PHOTO),
    "progressive JPEG": saved(PHOTO, progressive=True),
    "PNG": saved(PHOTO, "PNG"),
    "WebP": saved(PHOTO, "WebP"),
    "BMP": saved(PHOTO, "BMP"),
    "TIFF": saved(PHOTO, "TIFF"),
    "compressed TIFF": saved(PHOTO, "TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("kind", WHOLE)
@settings(max_examples=60)
@given(data=st.data())
def test_an_image_cut_anywhere_is_rejected(kind: str, data: st.DataObject) -> None:
    whole = WHOLE[kind]
    assert glanced(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize("lost", range(1, 40))
def test_an_image_without_its_last_bytes_is_rejected(lost: int) -> None:
    for whole in WHOLE.values():
        assert glanced(whole[:-lost])


def test_a_preview_that_is_whole_does_not_hide_from_a_glance_that_the_image_is_cut() -> None:
    exif = b"Exif\0\0" + saved(photograph(1, 32, 24))
    whole = saved(PHOTO, exif=exif)
    assert glanced(whole) is None
    for share in CUTS:
        assert glanced(whole[: int(share * len(whole))])


@pytest.mark.parametrize("kind", [*jpegs(), "PNG"])
def test_a_glance_says_what_a_scan_says_and_decodes_no_jpeg_and_no_png(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (jpegs() | WHOLE)[kind]
    found = scan(content, STRICT)
    monkeypatch.setattr(images, "_decode", None)
    assert glance(content, STRICT) == found


@settings(max_examples=60)
@given(data=st.data())
def test_a_changed_byte_in_the_pixels_of_a_png_is_found(data: st.DataObject) -> None:
    damaged = bytearray(WHOLE["PNG"])
    at = data.draw(st.integers(41, len(damaged) - 20))
    damaged[at] ^= data.draw(st.integers(1, 255))
    assert reason(bytes(damaged)) in ("damaged PNG: wrong checksum", "truncated PNG")


@pytest.mark.parametrize(("compression", "at"), [("tiff_adobe_deflate", 8), ("tiff_lzw", 5000)])
def test_a_tiff_that_cannot_be_decompressed_is_rejected_unless_lenient(
    compression: str, at: int
) -> None:
    whole = saved(PHOTO, "TIFF", compression=compression)
    damaged = whole[:at] + b"\xff" * 100 + whole[at + 100 :]
    assert reason(damaged) == "truncated or damaged TIFF, or of an uncommon kind"
    assert decode(damaged, LENIENT).shape == (224, 224, 3)


@settings(max_examples=150)
@given(data=st.data())
def test_whatever_is_damaged_is_decoded_or_rejected_alike(data: st.DataObject) -> None:
    damaged = bytearray(WHOLE[data.draw(st.sampled_from(list(WHOLE)))])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    for decoding in (STRICT, LENIENT):
        glanced(bytes(damaged), decoding)
        try:
            scan(bytes(damaged), decoding)
        except Rejected:
            reason(bytes(damaged), decoding)
        else:
            assert decode(bytes(damaged), decoding).shape == (224, 224, 3)


def test_a_jpeg_with_a_hole_is_rejected_although_it_decodes() -> None:
    whole = WHOLE["JPEG"]
    middle = len(whole) // 2
    damaged = whole[:middle] + b"\xff\xd9" + whole[middle:]
    assert cv2.imdecode(np.frombuffer(damaged, np.uint8), cv2.IMREAD_COLOR) is not None
    assert reason(damaged).startswith("damaged JPEG: ")


def test_a_jpeg_without_its_end_marker_is_rejected() -> None:
    assert reason(WHOLE["JPEG"][:-2]) == "damaged JPEG: Premature end of JPEG file"


def test_bytes_between_a_jpegs_segments_are_rejected() -> None:
    whole = WHOLE["JPEG"]
    at = whole.index(b"\xff\xdb")
    assert "extraneous bytes before marker" in reason(whole[:at] + b"12345" + whole[at:])


@pytest.mark.parametrize("kind", WHOLE)
def test_bytes_after_the_end_are_no_damage(kind: str) -> None:
    for more in (b"\0", b"a note", WHOLE["JPEG"]):
        content = WHOLE[kind] + more
        scan(content, STRICT)
        assert np.array_equal(decode(content, STRICT), decode(WHOLE[kind], STRICT))


def test_a_png_whose_data_ends_too_early_is_rejected_although_its_checksums_are_right() -> None:
    pixels = zlib.compress(bytes(1000))

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100, 100, 8, 2, 0, 0, 0))
    damaged = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    assert reason(damaged) == "truncated or damaged PNG, or of an uncommon kind"


def read_by_opencv(files: dict[str, bytes], folder: Path) -> dict[str, np.ndarray]:
    """What this OpenCV makes of `files`: libjpeg's versions smooth missing scans differently."""
    pixels = {}
    for name, content in files.items():
        (folder / name).write_bytes(content)
        image = cv2.imread(str(folder / name))
        if image is not None:
            pixels[name] = cv2.resize(image, (224, 224))
    return pixels


@pytest.mark.parametrize(
    ("kind", "read"), [("JPEG", by_caffe), ("progressive JPEG", read_by_opencv)]
)
def test_lenient_keeps_what_convert_imageset_keeps_of_a_truncated_jpeg(
    kind: str, read: Callable[..., dict[str, np.ndarray]], tmp_path: Path
) -> None:
    cuts = {str(share): WHOLE[kind][: int(share * len(WHOLE[kind]))] for share in CUTS}
    kept = read(cuts, tmp_path)
    assert len(kept) > 10
    for share, cut in cuts.items():
        assert reason(cut)
        if share in kept:
            assert np.array_equal(decode(cut, LENIENT), kept[share])
            assert scan(cut, LENIENT).format == "JPEG"
        else:  # cut in a segment's middle
            assert reason(cut, LENIENT)


def test_damage_is_told_in_the_report_and_not_on_the_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for kind in ("JPEG", "PNG", "WebP", "BMP"):
        assert reason(WHOLE[kind][:-20])
    assert capfd.readouterr() == ("", "")
