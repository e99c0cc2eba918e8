"""The names of data sets on disk: tfrecord:PATH,... and images:PATH,... with their options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import AbsentData, DataError, one_of
from .augmentation import WORDS

EXAMPLE = "tfrecord:PATH,size=224x224,labels=1,augment=flip,crop"
DEFAULT_SHAPE = (224, 224, 3)
LARGEST_SIDE = 4096
LARGEST_LABEL = 10**6
SCHEMES = {"tfrecord": ("size", "labels", "augment"), "images": ("size", "augment")}

_SIZE = re.compile(r"([1-9]\d{0,3})x([1-9]\d{0,3})(?:x([13]))?")


@dataclass(frozen=True)
class DiskName:
    """A data set on disk as its name gives it. `shape`: height, width and channels of an example."""

    name: str
    folder: Path
    shape: tuple[int, int, int] = DEFAULT_SHAPE
    first_label: int = 1
    augment: tuple[str, ...] = ()


def is_on_disk(name: str) -> bool:
    """Return whether the examples of this data set are read from disk while training."""
    return name.partition(":")[0] in SCHEMES


def parse(name: str) -> DiskName:
    """Parse the name of a data set on disk. Raises DataError for any other name and for a folder that does not exist.
    """
    scheme, _, rest = name.partition(":")
    path, *words = rest.split(",")
    options = _options(name, words, SCHEMES[scheme])
    return DiskName(name, _folder(name, path), _shape(name, options.get("size", [])),
                    _first_label(name, options.get("labels", ["1"])), _augment(name, options.get("augment", [])))


def _options(name: str, words: list[str], known: tuple[str, ...]) -> dict[str, list[str]]:
    """Option -> its words; a word without = belongs to the option before it."""
    found: dict[str, list[str]] = {}
    last = ""
    for word in words:
        key, equals, value = word.strip().partition("=")
        if equals:
            if key not in known or key in found:
                why = "is given twice" if key in found else f"is not known; choose among {', '.join(known)}"
                raise DataError(f"dataset={name!r}: the option {key!r} {why}, as in {EXAMPLE!r}.")
            last = key
        elif not last:
            raise DataError(f"dataset={name!r}: {word!r} is no option; a folder's name must not hold a comma, and "
                            f"options are written as in {EXAMPLE!r}.")
        found.setdefault(last, []).append(value if equals else key)
    return found


def _folder(name: str, path: str) -> Path:
    try:
        folder = Path(path).expanduser()
        if path and folder.is_dir():
            return folder.resolve()
        where = folder.absolute()
    except (OSError, ValueError, RuntimeError) as error:  # too long, NUL, the home of nobody
        raise DataError(f"dataset={name!r} names no folder: {str(error)[:100]}.") from None
    raise AbsentData(f"dataset={name!r}: there is no folder {where}; write it as in {EXAMPLE!r}, or make one to try "
                     "with python -m batchscale.benchmarks.data.disk.write_images.")


def _shape(name: str, words: list[str]) -> tuple[int, int, int]:
    if not words:
        return DEFAULT_SHAPE
    match = _SIZE.fullmatch(words[0]) if len(words) == 1 else None
    if not match or max(int(match[1]), int(match[2])) > LARGEST_SIDE:
        raise DataError(f"dataset={name!r}: size={','.join(words)} must be HEIGHTxWIDTH, at most {LARGEST_SIDE} each, "
                        "or HEIGHTxWIDTHx1 for grey images, as in size=224x224.")
    return int(match[1]), int(match[2]), int(match[3] or 3)


def _first_label(name: str, words: list[str]) -> int:
    if len(words) != 1 or not words[0].isdecimal() or int(words[0][:8]) > LARGEST_LABEL:
        raise DataError(f"dataset={name!r}: labels={','.join(words)} must be the number of the first class, 1 as in "
                        "ImageNet's files, or 0.")
    return int(words[0][:8])


def _augment(name: str, words: list[str]) -> tuple[str, ...]:
    for word in words:
        if word not in WORDS:
            raise DataError(f"dataset={name!r}: {one_of('augment', word, WORDS)}")
    return tuple(word for word in WORDS if word in words)
