"""Dataset: examples in memory, checked once where they come in, whoever made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .arrays import Arrays, by_name, Classes, count, each, Shapes

Labels = npt.NDArray[np.int32]
FLAT = """; for one-hot labels use y.argmax(axis=1), for targets of a loss of your own y.astype('float32')"""


@dataclass(frozen=True, eq=False)
class Dataset:
    """x: float32[N, H, W, C] or [N, features...], or tokens int32[N, T]; or a mapping from names to such arrays. Where
    they are `pixels`, those of uint8 are held so, in a quarter of the memory, and divided by 255 when asked for.

    y: class labels int32[N] or tokens int32[N, T], below `classes`, or targets of a regression float32[N, ...]; for
    several outputs a mapping from names to such arrays, and `classes` one from the same names. Pixels are in [0, 1].
    `source` says in one plain sentence what the data is.
    """

    name: str
    held_train_x: Arrays
    train_y: Arrays
    held_test_x: Arrays
    test_y: Arrays
    classes: Classes
    source: str
    pixels: bool = False

    @property
    def train_x(self) -> Arrays:
        """Return the training inputs as models take them, made anew each time where they are held as uint8."""
        return self.taken(self.held_train_x)

    @property
    def test_x(self) -> Arrays:
        """Return the test inputs as models take them."""
        return self.taken(self.held_test_x)

    def taken(self, inputs: Arrays) -> Arrays:
        """Return some of the inputs that are held as models take them."""
        return each(as_taken, inputs) if self.pixels else inputs

    @property
    def input_shape(self) -> Shapes:
        """Shape of one input without the axis of examples; by name where there are several inputs."""
        return each(lambda x: tuple(x.shape[1:]), self.held_train_x)

    @property
    def size(self) -> DataSize:
        """Numbers of examples, input shape and classes."""
        return DataSize(count(self.train_y), count(self.test_y), self.input_shape, self.classes)


class DataSize(NamedTuple):
    """Size of a data set: what is known of it without loading its examples."""

    train_examples: int
    test_examples: int
    input_shape: Shapes
    classes: Classes


def checked_dataset(name: str, train: tuple[Any, Any], test: tuple[Any, Any], source: str,
                    classes: Classes | None = None) -> Dataset:
    """Convert and check arrays from anywhere; uint8 inputs are pixels, floats and tokens are kept.

    Without `classes`, the labels (N,) must be exactly 0..K-1 in training; tokens (N, T) are below the largest + 1.
    Raises DataError.
    """
    parts = []
    for part, (x, y) in (("train", train), ("test", test)):
        inputs = _converted(x, f"{name}: x_{part}", as_inputs)
        targets = _converted(y, f"{name}: y_{part}", as_targets)
        found = {what: len(array) for what, array in (*by_name(inputs, f"x_{part}"), *by_name(targets, f"y_{part}"))}
        if len(set(found.values())) > 1:
            lengths = ", ".join(f"{what} {length}" for what, length in found.items())
            raise DataError(f"{name} has different numbers of examples: {lengths}; every example needs one of each."
                            + _of_several((x, y), set(found.values())))
        parts.append((inputs, targets))
    (train_x, train_y), (test_x, test_y) = parts
    _check_alike(name, "x", train_x, test_x)
    _check_alike(name, "y", train_y, test_y)
    if not isinstance(train_y, Mapping):
        found_classes: Classes = _classes(name, "", train_y, test_y, classes)
    else:
        given = classes or {}
        found_classes = {key: _classes(name, f"[{key!r}]", train_y[key], test_y[key], given.get(key))
                         for key in train_y}
    return Dataset(name, train_x, train_y, test_x, test_y, found_classes, source, pixels=True)


def _of_several(given: tuple[Any, Any], lengths: set[int]) -> str:
    """The way to give several inputs or targets, to whom lists them; "" to others."""
    for values in given:
        if isinstance(values, (list, tuple)) and all(np.ndim(item) and len(item) in lengths for item in values):
            return " A list of arrays counts as one array: give several inputs or targets as {'a name': array, ...}."
    return ""


def _converted(values: Any, what: str, convert: Callable[[Any, str], Any]) -> Arrays:
    """One array, or every array of a mapping, whose names must be texts."""
    if not isinstance(values, Mapping):
        return convert(values, what)
    if not values or not all(isinstance(key, str) for key in values):
        raise DataError(f"{what} is a mapping with the keys {list(values)[:5]}; give at least one, each a text.")
    return {key: convert(values[key], f"{what}[{key!r}]") for key in sorted(values)}


def _check_alike(name: str, letter: str, train: Arrays, test: Arrays) -> None:
    """The test part has the names, shapes and types of the training part. Raises DataError."""
    shapes = [{what: (array.shape[1:], taken_type(array)) for what, array in by_name(part, letter)}
              for part in (train, test)]
    if shapes[0] != shapes[1]:
        told = [", ".join(f"{what} {shape} {dtype}" for what, (shape, dtype) in found.items()) for found in shapes]
        raise DataError(f"{name}: training examples have shape and type {told[0]} and test examples {told[1]}; they "
                        "must be the same.")


def as_taken(values: Any) -> Any:
    """Return pixels uint8[...] as float32[...] in [0, 1], and all other inputs as they are."""
    if isinstance(values, np.ndarray) and values.dtype == np.uint8:
        return np.divide(values, np.float32(255), dtype=np.float32)
    return values


def taken_type(values: Any) -> np.dtype[Any]:
    """Return the type in which `as_taken` gives these inputs."""
    found: np.dtype[Any] = as_taken(values[:0]).dtype
    return found


def as_inputs(values: Any, what: str) -> npt.NDArray[Any]:
    """Return float32[N, ...], all finite, from floats; uint8[N, ...] as it is; int32[N, ...] from other whole numbers.
    Raises DataError."""
    array = _array(values, what)
    if array.dtype.kind in "USO" and array.size and isinstance(array.reshape(-1)[0], (str, bytes)):
        raise DataError(f"{what} holds texts, which no model takes here; turn them into token ids in the data "
                        "function, (examples, tokens) in whole numbers, with keras.layers.TextVectorization say.")
    if array.ndim < 2 or 0 in array.shape:
        raise DataError(f"{what} has shape {array.shape}; it must be (examples, features...), (examples, tokens) or "
                        "(examples, height, width, channels), with at least one example.")
    if array.dtype == np.uint8:
        return array
    if np.issubdtype(array.dtype, np.integer):
        return _tokens(array, what)
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"{what} has dtype {array.dtype}; give uint8 (0 to 255, divided by 255 here), another whole "
                        "type (tokens), or a float type.")
    return _finite(array, what)


def as_targets(values: Any, what: str) -> npt.NDArray[Any]:
    """Return labels int32[N], tokens int32[N, T...] or regression targets float32[N, ...], all finite. Raises
    DataError."""
    array = _array(values, what)
    if not array.ndim or 0 in array.shape:
        raise DataError(f"{what} has shape {array.shape}; it must be (examples, ...) with at least one example.")
    if np.issubdtype(array.dtype, np.floating):
        return _finite(array, what)
    if array.dtype == np.bool_:
        array = array.astype(np.int32)
    if array.ndim == 1 or array.shape[1:] == (1,) or not np.issubdtype(array.dtype, np.integer):
        return as_labels(array, what)
    if array.ndim == 2 and array.shape[1] > 1 and array.min() == 0 and (np.sort(array)[:, -2:] == (0, 1)).all():
        raise DataError(f"{what} has shape {array.shape} and one 1 in every row{FLAT}.")
    return _tokens(array, what)


def _array(values: Any, what: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise DataError(f"{what} is no array ({str(error)[:100]}); rows must have equal lengths.") from None


def _tokens(array: npt.NDArray[Any], what: str) -> npt.NDArray[np.int32]:
    if int(array.min()) < 0 or int(array.max()) >= 2**31:
        raise DataError(f"{what} runs from {array.min()} to {array.max()}; whole numbers must be from 0 to 2^31 - 1.")
    return np.ascontiguousarray(array, np.int32)


def _finite(array: npt.NDArray[Any], what: str) -> npt.NDArray[np.float32]:
    # What is too large for float32 becomes infinite here, what is no number NaN; both are refused below.
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.ascontiguousarray(array, np.float32)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=tuple(range(1, array.ndim))))
    if len(bad):
        raise DataError(f"{what} has NaN or infinity in {len(bad)} of {len(array)} examples, the "
                        f"first at index {bad[0]}; remove or replace them.")
    return array


def as_labels(values: Any, what: str) -> Labels:
    """Return int32[N] from whole numbers of shape (N,) or (N, 1). Raises DataError."""
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not len(array):
        hint = FLAT if array.ndim == 2 else ""
        raise DataError(f"{what} has shape {array.shape}; it must be (examples,) with at least one "
                        f"example{hint}.")
    if not np.issubdtype(array.dtype, np.integer):
        fix = "numpy.unique(y, return_inverse=True)[1]" if array.dtype.kind in "USO" else "y.astype('int32')"
        raise DataError(f"{what} has dtype {array.dtype}; labels must be whole numbers 0..K-1: use {fix}.")
    if int(array.min()) < 0 or int(array.max()) >= 2**31:
        raise DataError(f"{what} runs from {array.min()} to {array.max()}; labels must be 0..K-1.")
    return np.ascontiguousarray(array, np.int32)


def _classes(name: str, key: str, train_y: npt.NDArray[Any], test_y: npt.NDArray[Any], classes: int | None) -> int:
    """Number of classes of one output; 0 for a regression."""
    if train_y.dtype != np.int32:
        return 0
    if train_y.ndim > 1:
        return classes or int(max(train_y.max(), test_y.max())) + 1
    return _check_classes(name, key, train_y, test_y, classes)


def _check_classes(name: str, key: str, train_y: Labels, test_y: Labels, classes: int | None) -> int:
    present = np.unique(train_y)
    if classes is None:
        classes = len(present)
        if not np.array_equal(present, np.arange(classes)):
            raise DataError(f"{name}: y_train{key} has {classes} different labels, from {present[0]} to "
                            f"{present[-1]}; they must be 0..K-1 without gaps: use numpy.unique(y, "
                            "return_inverse=True), or a float type for a regression.")
    for part, labels in (("train", train_y), ("test", test_y)):
        if int(labels.max()) >= classes:
            raise DataError(f"{name}: y_{part}{key} has the label {labels.max()}, but the classes are "
                            f"0..{classes - 1}.")
    if classes < 2:
        raise DataError(f"{name}{key} has {classes} class; there must be at least 2 to tell apart.")
    return classes
