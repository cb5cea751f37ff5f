"""Images of every kind, whole and damaged by code: convert_imageset's pixels, or a reason."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
import simplejpeg
import tifffile
from conftest import Once
from hypothesis import given, settings
from hypothesis import strategies as st
from photographs import photograph, saved
from PIL import Image

from data_prep import image_headers, images
from data_prep.images import Decoding, Facts, Rejected, decode, glance, scan
from netgen.caffe.caffe_pb2 import Datum

STRICT = Decoding((224, 224))
LENIENT = Decoding((224, 224), lenient=True)
ROTATE = Decoding((224, 224), rotate=True)
PHOTO = photograph(0)
ORIENTATION = 0x0112


def rotated(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def encoded(extension: str, pixels: np.ndarray, *parameters: int) -> bytes:
    content: bytes = cv2.imencode(extension, pixels, parameters)[1].tobytes()
    return content


def deep() -> np.ndarray:
    """The photograph in 16 bits a channel, the lower bits random."""
    low = np.random.RandomState(0).randint(0, 256, (PHOTO.height, PHOTO.width, 3))
    return (np.asarray(PHOTO).astype(np.uint16) << 8) + low.astype(np.uint16)


def with_alpha() -> Image.Image:
    image = PHOTO.copy()
    image.putalpha(photograph(1).convert("L"))
    return image


def jpegs() -> dict[str, bytes]:
    """JPEGs of every subsampling, baseline and progressive, of even, odd and tiny sizes."""
    made = {}
    for number, (width, height) in enumerate([(120, 90), (121, 91), (17, 33), (8, 3), (1, 1)]):
        image = photograph(number, width, height)
        for progressive in (False, True):
            for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
                name = f"{width}x{height} {subsampling} {'progressive' if progressive else ''}"
                made[name] = saved(image, subsampling=subsampling, progressive=progressive)
        for subsampling in ("440", "411"):
            made[f"{width}x{height} {subsampling}"] = simplejpeg.encode_jpeg(
                np.asarray(image), colorsubsampling=subsampling
            )
    cmyk = saved(Image.merge("CMYK", [*PHOTO.split(), PHOTO.convert("L")]))
    ycck = bytearray(cmyk)
    ycck[cmyk.index(b"Adobe") + 11] = 2  # the colour transform of Adobe's segment
    return made | {
        "grey": saved(PHOTO.convert("L")),
        "RGB": saved(PHOTO, keep_rgb=True),
        "restart markers": saved(PHOTO, restart_marker_blocks=3),
        "CMYK": cmyk,
        "YCCK": bytes(ycck),
        "long": saved(photograph(2, 2000, 3)),
    }


def others() -> dict[str, bytes]:
    """PNG, WebP, BMP and TIFF in the kinds that they come in."""
    grey, palette = PHOTO.convert("L"), PHOTO.convert("P")
    made = {
        f"{format_} {image.mode}": saved(image, format_)
        for format_ in ("PNG", "WebP", "BMP", "TIFF")
        for image in (PHOTO, grey, palette, PHOTO.convert("1"), with_alpha())
    }
    made |= {
        "PNG of 1 x 1": saved(photograph(1, 1, 1), "PNG"),
        "PNG with grey and alpha": saved(with_alpha().convert("LA"), "PNG"),
        "PNG with a transparent colour": saved(palette, "PNG", transparency=3),
        "PNG of 16 bits": encoded(".png", deep()),
        "PNG of 16 bits, grey": encoded(".png", deep()[..., 0]),
        "WebP without loss": saved(PHOTO, "WebP", lossless=True),
        "TIFF of 16 bits": encoded(".tiff", deep()),
        "TIFF in CMYK": saved(PHOTO.convert("CMYK"), "TIFF"),
        "TIFF of two pages": saved(PHOTO, "TIFF", save_all=True, append_images=[photograph(1)]),
        "TIFF on its side": saved(PHOTO, "TIFF", tiffinfo={ORIENTATION: 6}),
    }
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        made[f"TIFF, {compression}"] = saved(PHOTO, "TIFF", compression=compression)
    tiled = io.BytesIO()
    planes = np.asarray(PHOTO).transpose(2, 0, 1)
    tifffile.imwrite(tiled, planes, photometric="rgb", planarconfig="separate", tile=(32, 32))
    return made | {"TIFF, tiled, in planes": tiled.getvalue()}


def by_caffe(files: dict[str, bytes], folder: Path) -> dict[str, np.ndarray]:
    """What the real convert_imageset makes of `files`."""
    for number, content in enumerate(files.values()):
        (folder / str(number)).write_bytes(content)
    listed = "".join(f"{number} {number}\n" for number in range(len(files)))
    (folder / "list").write_text(listed)
    subprocess.run(
        [Path(sys.executable).parent / "convert_imageset", "--backend=lmdb",
         "--resize_width=224", "--resize_height=224", f"{folder}/", "list", "out"],
        cwd=folder, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    with lmdb.open(str(folder / "out"), readonly=True) as environment, environment.begin() as view:
        datums = [Datum.FromString(value) for _, value in view.cursor()]
    names = list(files)
    return {
        names[datum.label]: np.frombuffer(datum.data, np.uint8)
        .reshape(3, 224, 224)
        .transpose(1, 2, 0)
        for datum in datums
    }


@pytest.fixture(scope="session")
def caffes(once: Once, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Caffe's pixels of every whole image below."""
    return once(
        "convert-imageset-pixels",
        lambda: by_caffe(jpegs() | others(), tmp_path_factory.mktemp("images")),
    )


def reason(content: bytes, decoding: Decoding = STRICT) -> str:
    """Why both `scan` and `decode` reject `content`."""
    said = []
    for look in (scan, decode):
        with pytest.raises(Rejected) as caught:
            look(content, decoding)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert said[0].isprintable()
    return said[0]


def glanced(content: bytes, decoding: Decoding = STRICT) -> str | None:
    """Why a glance rejects `content`, which is why `scan` and `decode` do; None: it does not."""
    try:
        glance(content, decoding)
    except Rejected as error:
        said = str(error)
    else:
        return None
    assert said == reason(content, decoding)
    return said


# Pixels -------------------------------------------------------------------------------------------


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
    how = {"quality": quality, "progressive": progressive, "subsampling": subsampling}
    content = saved(photograph(number, width, height), **how)
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
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


# EXIF ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_exif_orientation_is_applied_only_when_asked_for(format_: str, orientation: int) -> None:
    content = saved(PHOTO, format_, exif=rotated(orientation))
    assert np.array_equal(decode(content, STRICT), decode(saved(PHOTO, format_), STRICT))
    upright = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
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


# Not taken ----------------------------------------------------------------------------------------


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


# Damaged ------------------------------------------------------------------------------------------

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
