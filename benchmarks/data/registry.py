"""Data sets by name. Every command and every rank finds them here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import AbsentData, DataError, one_of
from .dataset import Dataset, DataSize
from .disk import image_files, names, tfrecord_files
from .sources import digits, glyphs, idx, npz, official, synthetic, tokens
from .splitting import split_sizes
from .user_function import from_function


class Source(NamedTuple):
    """Loader of a kind of data set and the function that gives its size, without examples if possible. find: raises
    AbsentData where its files are not on this machine."""

    load: Callable[[str], Dataset]
    size: Callable[[str], DataSize]
    find: Callable[[str], object] = str


BUILT_IN = {
    "cifar10": Source(official.load, official.size, official.paths),
    "digits": Source(lambda _: digits.load_digits_dataset(), lambda _: digits.DIGITS_SIZE),
    "fashion_mnist": Source(official.load, official.size, official.paths),
    "glyphs": Source(lambda _: glyphs.load_glyphs(), lambda _: glyphs.GLYPHS_SIZE),
    "mnist": Source(official.load, official.size, official.paths),
    "tokens": Source(lambda _: tokens.load_tokens(), lambda _: tokens.TOKENS_SIZE),
}
SCHEMES = {
    "idx": Source(idx.load_idx, lambda name: idx.load_idx(name).size, idx.idx_paths),
    "images": Source(image_files.load_images, lambda name: image_files.load_images(name).size, names.parse),
    "npz": Source(npz.load_npz, lambda name: npz.load_npz(name).size, npz.path_of),
    "synthetic": Source(synthetic.load_synthetic, synthetic.synthetic_size),
    "tfrecord": Source(tfrecord_files.load_tfrecord, lambda name: tfrecord_files.load_tfrecord(name).size,
                       names.parse),
}
_FUNCTION = Source(from_function, lambda name: from_function(name).size)


def load(name: str) -> Dataset:
    """Load a built-in data set, npz:PATH, idx:FOLDER, tfrecord:PATH,..., images:PATH,..., synthetic:SHAPE,... or
    module:function.

    Raises DataError.
    """
    return _source(name).load(name)


def is_users_code(name: str) -> bool:
    """Return whether loading the data set runs a function of the user's. Raises DataError for a name that is not
    known."""
    return _source(name) is _FUNCTION


def describe_size(name: str) -> DataSize:
    """Return the numbers of examples, the input shape and the classes, without loading the data set where possible.

    Raises DataError, also where a data set's files are missing.
    """
    return _source(name).size(name)


def absent(name: str) -> str:
    """Return why a data set is not on this machine, "" where it is; whether its files are right is not looked at.

    Raises DataError for a name that is not known.
    """
    try:
        _source(name).find(name)
    except AbsentData as error:
        return str(error)
    return ""


def train_examples(name: str, validation_fraction: float) -> int:
    """Return how many examples of a data set are left for training once the validation split is taken off.

    Raises DataError.
    """
    return split_sizes(describe_size(name).train_examples, validation_fraction)[0]


def _source(name: str) -> Source:
    if name in BUILT_IN:
        return BUILT_IN[name]
    scheme, colon, _ = name.partition(":")
    if not colon:
        raise DataError(f"{one_of('dataset', name, BUILT_IN)} Or give npz:PATH, {idx.EXAMPLE}, "
                        f"images:PATH, {names.EXAMPLE}, {synthetic.EXAMPLE} or module:function.")
    return SCHEMES.get(scheme, _FUNCTION)
