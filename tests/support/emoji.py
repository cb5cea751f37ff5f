"""The example's emoji, made small: packages of made-up drawings, pinned as npm's are."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import tarfile
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from support.paths import ROOT

TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
# Code points and name: a runner, one who faces right, three firefighters, and a hand.
LIST = (
    ("1F3C3", "runner"),
    ("1F3C3-200D-2640-FE0F", "woman-running"),
    ("1F3C3-200D-2642-FE0F", "man-running"),
    ("1F3C3-200D-2640-FE0F-200D-27A1-FE0F", "woman_running_facing_right"),
    ("1F9D1-200D-1F692", "firefighter"),
    ("1F468-200D-1F692", "male-firefighter"),
    ("1F469-200D-1F692", "female-firefighter"),
    ("270B", "hand"),
)
PLACES = {
    "google": ("emoji-datasource-google", "package/img/google/64/{}.png", "PNG"),
    "twitter": ("emoji-datasource-twitter", "package/img/twitter/64/{}.png", "PNG"),
    "fluent": ("@lobehub/fluent-emoji-3d", "package/assets/{}.webp", "WEBP"),
}


def example(name: str = "make_emoji") -> ModuleType:
    """Return a module of examples/emoji."""
    if (folder := str(ROOT / "examples/emoji")) not in sys.path:
        sys.path.insert(0, folder)
    return import_module(name)


def emoji_json() -> bytes:
    """Return a list of emoji as emoji-datasource has it."""
    entries = []
    for code, name in LIST:
        base, *rest = code.split("-")
        tones = {tone: {"unified": "-".join((base, tone, *rest))} for tone in TONES}
        entries.append({"unified": code, "short_name": name, "skin_variations": tones})
    couple = {"unified": "1F46B", "short_name": "couple", "skin_variations": {"1F3FB-1F3FC": {}}}
    smiley = {"unified": "1F600", "short_name": "grinning"}
    return json.dumps([*entries, couple, smiley]).encode()


def codes() -> list[str]:
    """Return the code points of every emoji with tones, in each."""
    listed = json.loads(emoji_json())[: len(LIST)]
    return [
        each["unified"].lower()
        for entry in listed
        for each in (entry, *entry["skin_variations"].values())
    ]


def write_packages(folder: Path) -> Path:
    """Write the vendors' packages into `folder`; return the list that pins them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["# made up"]
    rng = np.random.default_rng(1)
    for vendor, (name, place, form) in PLACES.items():
        file = folder / f"{name.removeprefix('@').replace('/', '-')}-1.0.0.tgz"
        with tarfile.open(file, "w:gz") as archive:
            if vendor == "google":
                _add(archive, "package/emoji.json", emoji_json())
            for code in codes():
                content = io.BytesIO()
                pixels = rng.integers(0, 256, (64, 64, 4), np.uint8)
                Image.fromarray(pixels, "RGBA").save(content, form, lossless=True)
                _add(archive, place.format(code), content.getvalue())
        lines.append(f"{vendor} {name} 1.0.0 {integrity(file)}")
    listed = folder / "packages.txt"
    listed.write_text("\n".join(lines) + "\n")
    return listed


def integrity(file: Path) -> str:
    """Return a file's SHA-512 as npm writes it."""
    digest = hashlib.sha512(file.read_bytes()).digest()
    return f"sha512-{base64.b64encode(digest).decode()}"


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
