"""IDX files and archives of data sets, which `fuzz` changes: read as a data set of one's own, and fetched from."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from soak.fuzz_mutations import BYTES, head
from soak.fuzz_target import Seeds, Target

from batchscale.benchmarks.data.fetching import fetch
from batchscale.benchmarks.data.sources import idx, official

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
PARTS = (np.zeros((6, 3, 3), np.uint8), np.arange(6).astype(np.uint8) % 2, np.ones((4, 3, 3), np.uint8),
         np.arange(4).astype(np.uint8) % 2)
FILES = {name: idx.written(array) for name, array in zip(NAMES, PARTS)}


def _idx(folder: Path) -> Seeds:
    (folder / "mine").mkdir()
    for name, content in FILES.items():
        (folder / "mine" / name).write_bytes(content)
    return [FILES[NAMES[0]], FILES[NAMES[0]], gzip.compress(FILES[NAMES[0]])]


def _write_idx(folder: Path, content: bytes) -> Path:
    return _write(NAMES[0], folder / "mine", content)


def _read_idx(path: Path) -> None:
    idx.load_idx(f"idx:{path.parent}")


def _tar(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in FILES.items():
            info = tarfile.TarInfo(f"package/data/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(f"a/{name}.gz", gzip.compress(content))
    return buffer.getvalue()


def _archives(folder: Path) -> Seeds:
    """Archives of a small data set, which passes for MNIST meanwhile."""
    os.environ["BATCHSCALE_CACHE"] = str(folder / "cache")
    digests = {name: official.digest_of(content, "sha256:") for name, content in FILES.items()}
    official.OFFICIAL["mnist"] = replace(official.OFFICIAL["mnist"], digests=digests)
    return [_tar("w:"), _tar("w:"), _tar("w:gz"), _zip(), _zip()]


def _write(name: str, folder: Path, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def _fetch(path: Path) -> None:
    fetch.from_path("mnist", path)


DATA = (Target("idx", (*BYTES, head, head, head), _idx, _write_idx, _read_idx),
        Target("archive", (*BYTES, head, head, head), _archives, partial(_write, "mine.tgz"), _fetch))
