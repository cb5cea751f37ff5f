"""The vendors' drawings: fetched from npm at pinned versions, and read without unpacking."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
import subprocess
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

# Where a package has a drawing, by its code points in lower case: 1f44d-1f3fb.
DRAWINGS = {
    "google": re.compile(r"package/img/google/64/(?P<code>[0-9a-f-]+)\.png"),
    "twitter": re.compile(r"package/img/twitter/64/(?P<code>[0-9a-f-]+)\.png"),
    "fluent": re.compile(r"package/assets/(?P<code>[0-9a-f-]+)\.webp"),
}
LIST = ("google", "package/emoji.json")  # every emoji, its name, and its tones
LARGEST = 2**24  # bytes of a file in a package; the list has 2 million


class VendorError(ValueError):
    """A package that is not to be had, or is not what it should be; the message says what to do."""


@dataclass(frozen=True)
class Package:
    """A package of npm's: whose drawings it has, its version, and its SHA-512 as npm writes it."""

    vendor: str
    name: str
    version: str
    integrity: str

    @property
    def file(self) -> str:
        """The name that `npm pack` gives it."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def listed(file: Path) -> list[Package]:
    """Return the packages that a list names, one a line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [Package(*line.split()) for line in lines if line and not line.startswith("#")]


def fetch(packages: list[Package], folder: Path) -> None:
    """Download what `folder` does not hold yet, and check all of it; installs nothing.

    Raises
    ------
    VendorError
        npm is not there or failed, or a file is not the one that is pinned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [package for package in packages if not (folder / package.file).exists()]
    if missing and not shutil.which("npm"):
        raise VendorError("npm is not there, which fetches the drawings: apt-get install npm")
    for package in missing:
        _download(package, folder)
    for package in packages:
        check(folder / package.file, package)


def _download(package: Package, folder: Path) -> None:
    """Download a package, and give it its name only when it is whole and the one that is pinned."""
    part = folder / "part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    wanted = f"{package.name}@{package.version}"
    done = subprocess.run(
        ["npm", "pack", "--silent", wanted], cwd=part, capture_output=True, text=True, check=False
    )
    if done.returncode or not (part / package.file).exists():
        said = (done.stderr or done.stdout).strip().splitlines()
        raise VendorError(
            f"{wanted} could not be fetched: {said[-1] if said else 'npm pack failed'}: see that"
            " npm reaches its registry, then run this again"
        )
    check(part / package.file, package)
    (part / package.file).replace(folder / package.file)
    part.rmdir()


def check(file: Path, package: Package) -> None:
    """Refuse a file that is not the one that is pinned.

    Raises
    ------
    VendorError
        It has another SHA-512.
    """
    digest = hashlib.sha512(file.read_bytes()).digest()
    found = f"sha512-{base64.b64encode(digest).decode()}"
    if found != package.integrity:
        raise VendorError(
            f"{file}: {found} instead of {package.integrity}, which packages.txt has for"
            f" {package.name}@{package.version}: remove the file, and run this again"
        )


def read(package: Package, folder: Path) -> tuple[dict[str, Image.Image], bytes]:
    """Return a package's drawings by their code points, and the list of emoji, if it has it.

    Raises
    ------
    VendorError
        The package cannot be unpacked, or a drawing cannot be decoded.
    """
    drawings, found = {}, b""
    file = folder / package.file
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                drawn = DRAWINGS[package.vendor].fullmatch(member.name)
                is_list = (package.vendor, member.name) == LIST
                if not (drawn or is_list) or member.size > LARGEST:
                    continue
                content = archive.extractfile(member)
                data = content.read() if content else b""
                if drawn:
                    image = Image.open(io.BytesIO(data))
                    drawings[drawn["code"]] = image.convert("RGBA")
                else:
                    found = data
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise VendorError(f"{file}: {error}: remove the file, and run this again") from None
    return drawings, found
