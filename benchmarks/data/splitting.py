"""The validation split and the fixed part of the training data on which train metrics are taken.

Both depend on the number of examples alone, never on a run's seed, so that all runs of a study are
judged on the same examples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .arrays import Arrays, Classes, count, each, Shapes
from .dataset import Dataset
from .random_bits import permutation

_STREAM = 0x5A17  # keeps these random numbers apart from those of orders and generated data

Part = tuple[Arrays, Arrays]
"""x and y of the same examples."""


@dataclass(frozen=True, eq=False)
class Split:
    """A data set as a run uses it. `validation` may be empty; `train_subset` is part of `train`."""

    train: Part
    validation: Part
    test: Part
    train_subset: Part
    input_shape: Shapes
    classes: Classes
    source: str


def split(dataset: Dataset, validation_fraction: float, train_subset: int) -> Split:
    """Split off round(fraction N) training examples for validation; choose at most `train_subset` of the others.

    The examples of every part stay in the data set's order.
    """
    if train_subset < 1:
        raise DataError(f"train_subset={train_subset} must be at least 1.")
    order = permutation([_STREAM], count(dataset.train_y))
    validation = split_sizes(len(order), validation_fraction)[1]
    train = order[validation:]
    return Split(_part(dataset, train), _part(dataset, order[:validation]),
                 (dataset.test_x, dataset.test_y), _part(dataset, train[:train_subset]),
                 dataset.input_shape, dataset.classes, dataset.source)


def split_sizes(train_examples: int, validation_fraction: float) -> tuple[int, int]:
    """Return the (training, validation) examples of a data set with so many training examples."""
    if not 0 <= validation_fraction < 1:
        raise DataError(f"validation_fraction={validation_fraction} must be at least 0 and below "
                        "1.")
    validation = round(validation_fraction * train_examples)
    if validation == train_examples:
        raise DataError(f"validation_fraction={validation_fraction} leaves none of the "
                        f"{train_examples} training examples to train on; choose a smaller "
                        "fraction.")
    return train_examples - validation, validation


def _part(dataset: Dataset, chosen: npt.NDArray[np.int32]) -> Part:
    if len(chosen) == count(dataset.train_y):
        return dataset.train_x, dataset.train_y
    rows = np.sort(chosen)
    return dataset.taken(each(lambda x: x[rows], dataset.held_train_x)), each(lambda y: y[rows], dataset.train_y)
