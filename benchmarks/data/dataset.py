"""Dataset: examples in memory, checked once where they come in, whoever made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError

Inputs = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Dataset:
    """For classification: x float32[N, H, W, C] or [N, features...], y int32[N] below `classes`.

    Pixels are in [0, 1]. `source` says in one plain sentence what the data is.
    """

    name: str
    train_x: Inputs
    train_y: Labels
    test_x: Inputs
    test_y: Labels
    classes: int
    source: str

    @property
    def input_shape(self) -> tuple[int, ...]:
        return tuple(self.train_x.shape[1:])

    @property
    def size(self) -> DataSize:
        return DataSize(len(self.train_y), len(self.test_y), self.input_shape, self.classes)


class DataSize(NamedTuple):
    """What can be said of a data set without its examples."""

    train_examples: int
    test_examples: int
    input_shape: tuple[int, ...]
    classes: int


def checked_dataset(name: str, train: tuple[Any, Any], test: tuple[Any, Any], source: str,
                    classes: int | None = None) -> Dataset:
    """Convert and check arrays from anywhere; uint8 inputs are divided by 255, floats kept.

    Without `classes`, the training labels must be exactly 0..K-1. Raises DataError.
    """
    parts = []
    for part, (x, y) in (("train", train), ("test", test)):
        inputs, labels = as_inputs(x, f"{name}: x_{part}"), as_labels(y, f"{name}: y_{part}")
        if len(inputs) != len(labels):
            raise DataError(f"{name}: x_{part} has {len(inputs)} examples and y_{part} "
                            f"{len(labels)} labels; every example needs one label.")
        parts.append((inputs, labels))
    (train_x, train_y), (test_x, test_y) = parts
    if train_x.shape[1:] != test_x.shape[1:]:
        raise DataError(f"{name}: training examples have shape {train_x.shape[1:]} and test "
                        f"examples {test_x.shape[1:]}; they must be the same.")
    found = _check_classes(name, train_y, test_y, classes)
    return Dataset(name, train_x, train_y, test_x, test_y, found, source)


def as_inputs(values: Any, what: str) -> Inputs:
    """float32[N, ...], all finite, from uint8 or floats. Raises DataError."""
    array = np.asarray(values)
    if array.dtype == np.uint8:
        array = np.divide(array, np.float32(255), dtype=np.float32)
    elif not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"{what} has dtype {array.dtype}; give uint8 (0 to 255, divided by 255 "
                        "here) or a float type.")
    if array.ndim < 2 or 0 in array.shape:
        raise DataError(f"{what} has shape {array.shape}; it must be (examples, features...) or "
                        "(examples, height, width, channels), with at least one example.")
    # What is too large for float32 becomes infinite here, what is no number NaN; both are refused below.
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.ascontiguousarray(array, np.float32)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=tuple(range(1, array.ndim))))
    if len(bad):
        raise DataError(f"{what} has NaN or infinity in {len(bad)} of {len(array)} examples, the "
                        f"first at index {bad[0]}; remove or replace them.")
    return array


def as_labels(values: Any, what: str) -> Labels:
    """int32[N] from whole numbers of shape (N,) or (N, 1). Raises DataError."""
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not len(array):
        hint = "; for one-hot labels use y.argmax(axis=1)" if array.ndim == 2 else ""
        raise DataError(f"{what} has shape {array.shape}; it must be (examples,) with at least one "
                        f"example{hint}.")
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"{what} has dtype {array.dtype}; labels must be whole numbers 0..K-1: use "
                        "y.astype('int32').")
    if int(array.min()) < 0 or int(array.max()) >= 2**31:
        raise DataError(f"{what} runs from {array.min()} to {array.max()}; labels must be 0..K-1.")
    return np.ascontiguousarray(array, np.int32)


def _check_classes(name: str, train_y: Labels, test_y: Labels, classes: int | None) -> int:
    present = np.unique(train_y)
    if classes is None:
        classes = len(present)
        if not np.array_equal(present, np.arange(classes)):
            raise DataError(f"{name}: y_train has {classes} different labels, from {present[0]} to "
                            f"{present[-1]}; they must be 0..K-1 without gaps: use numpy.unique(y, "
                            "return_inverse=True).")
    for part, labels in (("train", train_y), ("test", test_y)):
        if int(labels.max()) >= classes:
            raise DataError(f"{name}: y_{part} has the label {labels.max()}, but the classes are "
                            f"0..{classes - 1}.")
    if classes < 2:
        raise DataError(f"{name} has {classes} class; there must be at least 2 to tell apart.")
    return classes
