"""digits: scikit-learn's real handwritten digits, 8x8, small enough to train in seconds."""

from __future__ import annotations

import numpy as np

from ..dataset import Dataset, DataSize
from ..random_bits import permutation

DIGITS_SIZE = DataSize(1433, 364, (8, 8, 1), 10)
TEST_EVERY = 5  # of each digit's examples, one in five is for testing

_STREAM = 0xD161


def load_digits_dataset() -> Dataset:
    """Load the 1,797 examples, divided digit by digit in a fixed random order."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = (bunch.images[..., None] / 16).astype(np.float32)
    y = bunch.target.astype(np.int32)
    test = np.zeros(len(y), bool)
    order = permutation([_STREAM], len(y))
    for digit in range(DIGITS_SIZE.classes):
        test[order[y[order] == digit][::TEST_EVERY]] = True
    source = (f"{len(y):,} real handwritten 8x8 digits that come with scikit-learn, 10 classes, "
              f"{test.sum()} of them for testing")
    return Dataset("digits", x[~test], y[~test], x[test], y[test], DIGITS_SIZE.classes, source)
