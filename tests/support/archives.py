"""Folders and archives that hold given files, and archives that nobody should unpack."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path


def in_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def in_tar(path: Path, files: dict[str, bytes]) -> Path:
    path = path.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def in_zip(path: Path, files: dict[str, bytes]) -> Path:
    path = path.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def large_header(path: Path) -> Path:
    """A tar archive, small when packed, that says that a header of a gigabyte follows."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**30
    path = path.with_suffix(".tgz")
    path.write_bytes(gzip.compress(info.tobuf() + b"\0" * 2**16))
    return path


def far_away(path: Path) -> Path:
    """A tar archive whose next file begins after more than any data set has."""
    info = tarfile.TarInfo("large")
    info.size = 2**40
    path = path.with_suffix(".tgz")
    path.write_bytes(gzip.compress(info.tobuf() + b"\0" * 2**16))
    return path


def links(path: Path, names: Iterable[str]) -> Path:
    """A tar archive in which every name leads out of it."""
    path = path.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return path
