"""CIFAR-100's archive in its published form: what Python 2's cPickle wrote with protocol 2."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.cifar100 import FOLDER

TRAIN, TEST = 20, 6


def pickled(value: object) -> bytes:
    return b"\x80\x02" + opcodes(value) + b"."


def opcodes(value: object) -> bytes:
    if isinstance(value, dict):
        pairs = b"".join(opcodes(key) + opcodes(item) for key, item in value.items())
        return b"}(" + pairs + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(opcodes, value)) + b"e"
    if isinstance(value, bytes):  # Python 2's str
        short = len(value) < 256
        return (
            b"U" + bytes([len(value)]) if short else b"T" + struct.pack("<i", len(value))
        ) + value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    assert isinstance(value, np.ndarray)
    return array(value)


def array(value: np.ndarray) -> bytes:
    made = (
        b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + b"K\x00\x85U\x01b\x87R"
    )
    kind = value.dtype.str[1:].encode()
    dtype = b"cnumpy\ndtype\nU" + bytes([len(kind)]) + kind + b"K\x00K\x01\x87R"
    dtype += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    shape = b"(" + b"".join(map(opcodes, value.shape)) + b"t"
    content = opcodes(value.tobytes("A"))
    return made + b"(K\x01" + shape + dtype + (b"\x88" if fortran else b"\x89") + content + b"tb"


def batch(records: int, seed: int) -> dict[bytes, Any]:
    rng = np.random.default_rng(seed)
    fine = rng.integers(0, 100, records)
    return {
        b"filenames": [b"photograph_s_%06d.png" % i for i in range(records)],
        b"batch_label": b"training batch 1 of 1",
        b"fine_labels": fine.tolist(),
        b"coarse_labels": (fine // 5).tolist(),
        b"data": rng.integers(0, 256, (records, 3072), dtype=np.uint8),
    }


def files() -> dict[str, Any]:
    return {
        "train": batch(TRAIN, 1),
        "test": batch(TEST, 2),
        "meta": {
            b"fine_label_names": [b"fine %02d" % i for i in range(100)],
            b"coarse_label_names": [b"coarse %02d" % i for i in range(20)],
        },
    }


def archive(path: Path, contents: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def published(folder: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
    tables = files()
    change(tables)
    contents = {name: pickled(table) for name, table in tables.items()}
    return archive(folder / "cifar-100-python.tar.gz", contents)
