"""Images of every kind, and what convert_imageset and netgen make of them."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
import simplejpeg
import tifffile
from PIL import Image

from data_prep.images import Decoding, Rejected, decode, glance, scan
from netgen.caffe.caffe_pb2 import Datum
from support.photographs import photograph, saved

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
