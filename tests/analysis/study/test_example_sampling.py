"""What the finite number of examples adds to a gap."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from simulation import decision as simulated

from batchscale.analysis.study.example_sampling import Sampling, gap_between, sampling
from batchscale.analysis.tables.outcome import ACCURACY, LOSS


def rows(validation: list[float], test: list[float], examples: float = 360) -> pd.DataFrame:
    return pd.DataFrame({"seed": range(len(test)), "validation_accuracy": validation, "test_accuracy": test,
                         "validation_loss": validation, "test_loss": test, "validation_examples": examples,
                         "test_examples": examples})


def test_values_that_are_all_equal_are_the_same_within_the_step_of_an_example() -> None:
    equal = rows([0.96] * 6, [0.97] * 6)
    of = sampling(equal, equal, ACCURACY, "test_accuracy")
    assert of == Sampling(1 / 360, 0.0, 5.0)
    gap = gap_between(equal["test_accuracy"], equal["test_accuracy"], ACCURACY, of).estimate
    assert gap.value == 0 and 0 < gap.high < 1 / 360


def test_a_constant_gap_on_few_examples_is_not_known_better_than_they_tell() -> None:
    """Every seed loses the same three of 360 examples: by seed it is exact, on other examples it is not."""
    first, second = rows([0.97] * 6, [0.97] * 6), rows([0.97] * 6, [0.97 - 3 / 360] * 6)
    of = sampling(first, second, ACCURACY, "test_accuracy")
    gap = 3 / 360
    assert of.variance >= (gap - gap ** 2) / 360 * 0.999
    found = gap_between(first["test_accuracy"], second["test_accuracy"], ACCURACY, of)
    assert found.estimate.low < 0.0 < found.estimate.high and found.fixed_error == pytest.approx(of.variance ** 0.5)


def test_more_examples_add_less_and_a_loss_or_an_unknown_number_nothing() -> None:
    noise = np.random.default_rng(1)
    first, second = ([*(0.9 + 0.01 * noise.normal(size=6))] for _ in range(2))
    few, many = (sampling(rows(first, first, size), rows(second, second, size), ACCURACY, "test_accuracy").variance
                 for size in (1_000, 100_000))
    assert few > 50 * many > 0
    unknown = sampling(rows(first, first, math.nan), rows(second, second, math.nan), ACCURACY, "test_accuracy")
    assert unknown == Sampling() == sampling(rows(first, first), rows(second, second), LOSS, "test_loss")


def test_the_interval_holds_the_gap_on_all_examples() -> None:
    """60 studies of 360 examples; the full table has 300."""
    found = simulated.simulate("gap on all examples from 360, batches far apart", 60, 4)
    assert found.seen >= 0.92 - 2 * found.standard_error and found.width > 1
