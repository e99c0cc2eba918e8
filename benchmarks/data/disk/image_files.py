"""images: a folder of pictures, train/<class>/*.jpg or *.png, and test/<class>/... (or val/, validation/)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ...errors import DataError
from ..dataset import Dataset, Labels
from .encoded import MAGIC, WHOLE_FILE, EncodedImages
from .names import DiskName, parse

SUFFIXES = (".jpg", ".jpeg", ".png")
TEST_FOLDERS = ("test", "val", "validation")
_LAYOUT = f"a folder of images needs train/<class>/ and one of {', '.join(f'{n}/<class>/' for n in TEST_FOLDERS)}"


def load_images(name: str) -> Dataset:
    """Load `images:PATH,...`; classes are numbered in the order of their folders' names. Raises DataError."""
    asked = parse(name)
    train, test = _part_folder(asked, ("train",)), _part_folder(asked, TEST_FOLDERS)
    classes, tested = _classes(name, train), _classes(name, test)
    check_same_classes(name, train.name, classes, test.name, tested)
    (train_x, train_y), (test_x, test_y) = (_part(asked, folder, classes) for folder in (train, test))
    source = (f"{len(train_y) + len(test_y):,} images in {len(classes):,} classes, read from the folder {asked.folder} "
              f"while training; {len(test_y):,} of them, in {test.name}/, for testing")
    return Dataset(name, train_x, train_y, test_x, test_y, len(classes), source)


def check_same_classes(name: str, train: str, classes: list[str], test: str, tested: list[str]) -> None:
    """Raise DataError where one part has classes that the other lacks, or where there are fewer than two."""
    for one, own, other, others in ((train, classes, test, tested), (test, tested, train, classes)):
        if missing := sorted(set(own) - set(others)):
            raise DataError(f"dataset={name!r}: {one} has {len(own):,} classes and {other} lacks {len(missing):,} of "
                            f"them: {', '.join(missing[:5])}{', ...' if missing[5:] else ''}; both must have the same.")
    if len(classes) < 2:
        raise DataError(f"dataset={name!r} has {len(classes)} class; there must be at least 2 to tell apart.")


def _part_folder(asked: DiskName, names: tuple[str, ...]) -> Path:
    for name in names:
        if (asked.folder / name).is_dir():
            return asked.folder / name
    found = sorted(entry.name for entry in asked.folder.iterdir())[:8]
    raise DataError(f"dataset={asked.name!r}: {_LAYOUT}; {asked.folder} has {', '.join(found) or 'nothing'}.")


def _classes(name: str, folder: Path) -> list[str]:
    try:
        found = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"dataset={name!r}: {folder} cannot be read: {error.strerror}.") from None
    if not found:
        raise DataError(f"dataset={name!r}: {folder} has no folders; {_LAYOUT}.")
    return found


def _part(asked: DiskName, folder: Path, classes: list[str]) -> tuple[EncodedImages, Labels]:
    """Files in the order of their names, class by class."""
    paths: list[bytes] = []
    counts = []
    for name in classes:
        own = _images(asked.name, folder / name)
        _check_is_image(folder / name / own[0])
        paths += [os.fsencode(os.path.join(folder.name, name, file)) for file in own]
        counts.append(len(own))
    count = len(paths)
    numbers = np.arange(count, dtype=np.int32)
    images = EncodedImages(str(asked.folder), np.array(paths), numbers, np.zeros(count, np.int64),
                           np.full(count, WHOLE_FILE, np.int64), np.zeros(count, np.int32), numbers, asked.shape,
                           asked.augment)
    return images, np.repeat(np.arange(len(classes), dtype=np.int32), counts)


def _images(name: str, folder: Path) -> list[str]:
    try:
        found = sorted(entry.name for entry in os.scandir(folder) if entry.name.lower().endswith(SUFFIXES))
    except OSError as error:
        raise DataError(f"dataset={name!r}: {folder} cannot be read: {error.strerror}.") from None
    if not found:
        raise DataError(f"dataset={name!r}: the class {folder} has no image; expected: files that end in "
                        f"{', '.join(SUFFIXES)}.")
    return found


def _check_is_image(path: Path) -> None:
    """Check a file's first bytes; done for one file of every class, since opening all takes long on some disks."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    if not start.startswith(tuple(MAGIC)):
        raise DataError(f"{path} is neither {' nor '.join(MAGIC.values())}; replace or remove it.")
