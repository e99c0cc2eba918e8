"""The split: the same validation and train-metric examples in every run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.errors import DataError


@pytest.fixture
def numbered() -> data.Dataset:
    """50 training examples, example i full of i."""
    x = np.repeat(np.arange(50, dtype=np.float32)[:, None], 3, axis=1)
    y = np.arange(50, dtype=np.int32) % 5
    return data.Dataset("numbered", x, y, x[:7] + 100, y[:7], 5, "numbers")


def test_training_and_validation_share_nothing_and_miss_nothing(numbered: data.Dataset) -> None:
    split = data.split(numbered, 0.2, 15)
    train, validation = split.train[0][:, 0].tolist(), split.validation[0][:, 0].tolist()
    assert (len(train), len(validation)) == (40, 10) == data.split_sizes(50, 0.2)
    assert sorted(train + validation) == list(range(50))
    assert train == sorted(train) and validation == sorted(validation)
    assert validation != list(range(10)) and validation != list(range(40, 50))
    for x, y in (split.train, split.validation, split.train_subset):
        assert (y == x[:, 0] % 5).all()
    assert split.test[0] is numbered.test_x and split.test[1] is numbered.test_y


def test_the_train_subset_is_a_fixed_part_of_the_training_data(numbered: data.Dataset) -> None:
    split = data.split(numbered, 0.2, 15)
    subset = split.train_subset[0][:, 0].tolist()
    assert len(set(subset)) == 15 and set(subset) <= set(split.train[0][:, 0].tolist())
    assert data.split(numbered, 0.2, 15).train_subset[0][:, 0].tolist() == subset
    assert len(data.split(numbered, 0.2, 10_000).train_subset[1]) == 40


def test_without_validation_everything_is_for_training(numbered: data.Dataset) -> None:
    split = data.split(numbered, 0, 10_000)
    assert split.validation[0].shape == (0, 3) and split.validation[1].shape == (0,)
    assert np.array_equal(split.train[0], numbered.train_x)
    assert np.array_equal(split.train_subset[0], numbered.train_x)


@pytest.mark.parametrize("fraction, subset, message", [
    (1.0, 10, "validation_fraction=1.0 must be at least 0 and below 1"),
    (-0.1, 10, "validation_fraction=-0.1"),
    (0.999, 10, "leaves none of the 50 training examples"),
    (0.2, 0, "train_subset=0 must be at least 1"),
])
def test_a_split_that_leaves_nothing_is_refused(numbered: data.Dataset, fraction: float,
                                                subset: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.split(numbered, fraction, subset)


def test_bytes_are_divided_only_where_they_are_pixels() -> None:
    x, y = np.full((10, 2), 51, np.uint8), np.arange(10) % 2
    given = data.Dataset("a script's own", x, y, x, y, 2, "bytes for a layer that divides them itself")
    for pixels, taken in ((False, 51), (True, np.float32(0.2))):
        split = data.split(replace(given, pixels=pixels), 0.2, 3)
        parts = (split.train, split.validation, split.test, split.train_subset)
        assert {values.max() for values, _ in parts} == {taken}
