"""tfrecord: a folder of train-*-of-* and validation-*-of-* files, as the preparation scripts of ImageNet write them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..cache import Arrays, cached
from ..dataset import Dataset, Labels
from .encoded import EncodedImages
from .image_files import check_same_classes
from .names import DiskName, parse
from .tfrecord_format import entries

VERSION = 1  # part of the cache file's name: raise it with every change of what an index holds
PARTS = ("train", "validation")
COLUMNS = ("offset", "length", "label", "records")
"""int64[N] of every record, file after file; records int64[files]: how many each file has."""

_FILE = re.compile(r"(train|validation)-(\d{1,6})-of-(\d{1,6})")


def load_tfrecord(name: str) -> Dataset:
    """Load `tfrecord:PATH,...`: the index of its records, from the cache or made now. Raises DataError."""
    asked = parse(name)
    files = {part: _files(asked, part) for part in PARTS}
    indexes = {part: _index(files[part]) for part in PARTS}
    labels = {part: _labels(asked, part, indexes[part]["label"]) for part in PARTS}
    classes = _check_classes(asked, labels)
    train, test = (_images(asked, files[part], indexes[part]) for part in PARTS)
    source = (f"{len(train):,} images in {classes:,} classes, read from {len(files['train']):,} TFRecord files in "
              f"{asked.folder} while training; {len(test):,} more, of its validation files, for testing")
    return Dataset(name, train, labels["train"], test, labels["validation"], classes,
                   source)


def _files(asked: DiskName, part: str) -> list[Path]:
    """The part's files in the order of their numbers; all of them, as their names say how many there are."""
    matches = [match for entry in os.scandir(asked.folder) if (match := _FILE.fullmatch(entry.name))]
    own = sorted((int(match[2]), match.string) for match in matches if match[1] == part)
    if not own:
        found = sorted(entry.name for entry in os.scandir(asked.folder))[:8]
        raise DataError(f"dataset={asked.name!r}: {asked.folder} has no files {part}-NNNNN-of-NNNNN; it has "
                        f"{', '.join(found) or 'nothing'}.")
    counts = {int(match[3]) for match in matches if match[1] == part}
    missing = sorted(set(range(max(counts))) - {number for number, _ in own})
    if len(counts) > 1 or missing or len(own) != max(counts):
        lack = f"; number {missing[0]} is missing" if missing else ""
        raise DataError(f"dataset={asked.name!r}: {asked.folder} has {len(own):,} {part} files of "
                        f"{' and of '.join(f'{count:,}' for count in sorted(counts))}{lack}; all files of one writing "
                        "must be there, and no others.")
    return [asked.folder / name for _, name in own]


def _index(files: Sequence[Path]) -> Arrays:
    """The index of these files as they are now: path, size and time of change of each are the cache's key."""
    def facts(path: Path) -> tuple[str, int, int]:
        status = path.stat()
        return str(path), status.st_size, status.st_mtime_ns

    key = json.dumps([VERSION, *map(facts, files)])
    digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:24]
    return cached(f"tfrecord-v{VERSION}-{digest}.npz", COLUMNS, lambda index: _check_index(index, len(files)),
                  lambda: _indexed(files))


def _indexed(files: Sequence[Path]) -> Arrays:
    rows, records = [], []
    for path in files:
        own = np.array(list(entries(path)), np.int64).reshape(-1, 3)
        if not len(own):
            raise DataError(f"{path} has no record; write it again, or leave it out of the set and its names.")
        rows.append(own)
        records.append(len(own))
    columns = np.concatenate(rows).T
    return {**dict(zip(COLUMNS, map(np.ascontiguousarray, columns))), "records": np.array(records, np.int64)}


def _check_index(index: Arrays, files: int) -> None:
    """Raises ValueError for what `_indexed` has not made."""
    count = int(index["records"].sum()) if index["records"].shape == (files,) else -1
    for name in COLUMNS:
        if index[name].dtype != np.int64 or (name != "records" and index[name].shape != (count,)):
            raise ValueError(f"{name} is {index[name].dtype}{index[name].shape}")


def _labels(asked: DiskName, part: str, labels: npt.NDArray[np.int64]) -> Labels:
    """int32[N], 0..K-1, from the numbers in the files."""
    low, high = int(labels.min()), int(labels.max())
    if low < asked.first_label or high - asked.first_label >= len(labels):
        raise DataError(f"dataset={asked.name!r}: the labels of the {part} files run from {low:,} to {high:,} over "
                        f"{len(labels):,} records, and the first class is {asked.first_label} here; set "
                        f"labels={max(low, 0)} if that is the first one.")
    return (labels - asked.first_label).astype(np.int32)


def _check_classes(asked: DiskName, labels: dict[str, Labels]) -> int:
    """The number of classes. Raises DataError where one has no training record or the parts differ."""
    train, test = (np.unique(labels[part]) for part in PARTS)
    classes = int(train[-1]) + 1
    if len(train) != classes:
        empty = np.setdiff1d(np.arange(classes), train) + asked.first_label
        raise DataError(f"dataset={asked.name!r}: {len(empty):,} classes have no training record, the label {empty[0]} "
                        f"first; labels must run from {asked.first_label} without gaps.")
    own, other = ([str(label + asked.first_label) for label in part] for part in (train, test))
    check_same_classes(asked.name, "train", own, "validation", other)
    return classes


def _images(asked: DiskName, files: Sequence[Path], index: Arrays) -> EncodedImages:
    records = index["records"]
    count = int(records.sum())
    first = np.repeat(np.cumsum(records) - records, records)
    numbers = np.arange(count, dtype=np.int32)
    return EncodedImages(str(asked.folder), np.array([os.fsencode(path.name) for path in files]),
                         np.repeat(np.arange(len(files), dtype=np.int32), records), index["offset"], index["length"],
                         (numbers - first).astype(np.int32), numbers, asked.shape, asked.augment)
