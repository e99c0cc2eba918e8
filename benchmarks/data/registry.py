"""Data sets by name. Every command and every rank finds them here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import DataError, one_of
from .dataset import Dataset, DataSize
from .disk import image_files, names, tfrecord_files
from .sources import digits, glyphs, keras_files, npz, synthetic, tokens
from .splitting import split_sizes
from .user_function import from_function


class Source(NamedTuple):
    """Loader of a kind of data set and the function that gives its size, without examples if possible."""

    load: Callable[[str], Dataset]
    size: Callable[[str], DataSize]


def _with_files(paths: Callable[[], object], size: DataSize) -> Callable[[str], DataSize]:
    """The size, once the files are seen to be there."""
    def found(name: str) -> DataSize:
        paths()
        return size
    return found


BUILT_IN = {
    "cifar10": Source(lambda _: keras_files.load_cifar10(),
                      _with_files(keras_files.cifar10_paths, keras_files.CIFAR10_SIZE)),
    "digits": Source(lambda _: digits.load_digits_dataset(), lambda _: digits.DIGITS_SIZE),
    "fashion_mnist": Source(lambda _: keras_files.load_fashion_mnist(),
                            _with_files(keras_files.fashion_mnist_paths, keras_files.MNIST_SIZE)),
    "glyphs": Source(lambda _: glyphs.load_glyphs(), lambda _: glyphs.GLYPHS_SIZE),
    "mnist": Source(lambda _: keras_files.load_mnist(),
                    _with_files(keras_files.mnist_paths, keras_files.MNIST_SIZE)),
    "tokens": Source(lambda _: tokens.load_tokens(), lambda _: tokens.TOKENS_SIZE),
}
SCHEMES = {
    "images": Source(image_files.load_images, lambda name: image_files.load_images(name).size),
    "npz": Source(npz.load_npz, lambda name: npz.load_npz(name).size),
    "synthetic": Source(synthetic.load_synthetic, synthetic.synthetic_size),
    "tfrecord": Source(tfrecord_files.load_tfrecord, lambda name: tfrecord_files.load_tfrecord(name).size),
}
_FUNCTION = Source(from_function, lambda name: from_function(name).size)


def load(name: str) -> Dataset:
    """Load a built-in data set, npz:PATH, tfrecord:PATH,..., images:PATH,..., synthetic:SHAPE,... or module:function.

    Raises DataError.
    """
    return _source(name).load(name)


def describe_size(name: str) -> DataSize:
    """Return the numbers of examples, the input shape and the classes, without loading the data set where possible.

    Raises DataError, also where a data set's files are missing.
    """
    return _source(name).size(name)


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
        raise DataError(f"{one_of('dataset', name, BUILT_IN)} Or give npz:PATH, images:PATH, "
                        f"{names.EXAMPLE}, {synthetic.EXAMPLE} or module:function.")
    return SCHEMES.get(scheme, _FUNCTION)
