"""Images of every kind: convert_imageset's pixels, and EXIF orientations."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.images import LENIENT, PHOTO, ROTATE, STRICT, jpegs, others, rotated
from support.photographs import by_opencv, photograph, saved

from data_prep.images import Decoding, Facts, decode, scan

# ---- Pixels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*jpegs(), *others()])
def test_pixels_are_those_of_convert_imageset(kind: str, caffes: dict[str, np.ndarray]) -> None:
    content = (jpegs() | others())[kind]
    assert scan(content, STRICT).width >= 1
    for decoding in (STRICT, LENIENT):
        assert np.array_equal(decode(content, decoding), caffes[kind])


def test_height_comes_before_width() -> None:
    content = saved(photograph(0, 120, 90))
    assert scan(content, STRICT) == Facts("JPEG", height=90, width=120)
    assert decode(content, Decoding((10, 20))).shape == (10, 20, 3)


def test_channels_are_blue_green_red() -> None:
    red = saved(Image.new("RGB", (9, 9), (255, 0, 0)), "PNG")
    assert decode(red, STRICT)[0, 0].tolist() == [0, 0, 255]


def test_grey_becomes_three_equal_channels() -> None:
    blue, green, red = decode(saved(PHOTO.convert("L")), STRICT).transpose(2, 0, 1)
    assert np.array_equal(blue, green)
    assert np.array_equal(green, red)


def test_a_file_is_what_its_content_says() -> None:
    formats = {f: scan(saved(PHOTO, f), STRICT).format for f in ("JPEG", "PNG", "BMP", "TIFF")}
    assert formats == {f: f for f in formats}


@settings(max_examples=40)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    number=st.integers(0, 99),
    quality=st.integers(1, 95),
    progressive=st.booleans(),
    subsampling=st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_any_jpeg_is_decoded_as_opencv_does(
    width: int, height: int, number: int, quality: int, progressive: bool, subsampling: str,
    size: tuple[int, int],
) -> None:  # fmt: skip
    content = saved(
        photograph(number, width, height),
        quality=quality, progressive=progressive, subsampling=subsampling,
    )  # fmt: skip
    pixels = by_opencv(content)
    found = decode(content, Decoding(size))
    assert np.array_equal(found, cv2.resize(pixels, (size[1], size[0])))


def test_threads_do_not_disturb_one_another(caffes: dict[str, np.ndarray]) -> None:
    files = jpegs() | others()
    wrong: list[str] = []

    def work() -> None:
        wrong.extend(
            k for k, v in files.items() if not np.array_equal(decode(v, STRICT), caffes[k])
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---- EXIF ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_exif_orientation_is_applied_only_when_asked_for(format_: str, orientation: int) -> None:
    content = saved(PHOTO, format_, exif=rotated(orientation))
    assert np.array_equal(decode(content, STRICT), decode(saved(PHOTO, format_), STRICT))
    upright = by_opencv(content)
    assert np.array_equal(decode(content, ROTATE), cv2.resize(upright, (224, 224)))
    facts = scan(content, STRICT)
    assert facts.rotated == (orientation != 1)
    assert (facts.height, facts.width) == (90, 120)  # as they are stored


def test_damaged_exif_harms_no_pixel() -> None:
    exif = rotated(6).tobytes()
    for damaged in (exif[:9], exif[:-3], b"Exif\0\0" + bytes(20), rotated(9).tobytes()):
        content = saved(PHOTO, exif=damaged)
        assert not scan(content, STRICT).rotated
        assert np.array_equal(decode(content, ROTATE), decode(saved(PHOTO), STRICT))


def test_exif_is_found_behind_other_segments() -> None:
    content = saved(PHOTO, exif=rotated(6), icc_profile=bytes(70_000))
    start = content.index(b"\xff\xe1")
    comment = b"\xff\xfe\x00\x0a12345678"
    assert scan(content[:start] + comment + content[start:], STRICT).rotated
