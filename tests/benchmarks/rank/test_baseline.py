"""What an answer that ignores the inputs reaches, from the targets alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from batchscale.benchmarks.rank.workload.baseline import baselines
from batchscale.benchmarks.runs.run_config import RunConfig

LABELS = np.array([0, 1, 1, 1], np.int32), np.array([1, 1, 0, 0, 0], np.int32)
VALUES = np.array([1.0, 3.0], np.float32), np.array([2.0, 4.0], np.float32)


def test_of_classes_the_most_common_one_of_the_training_data_and_their_shares(config: Callable[..., RunConfig]) -> None:
    found = baselines(config(), *LABELS)
    assert found["baseline_accuracy"] == pytest.approx(2 / 5)
    assert found["baseline_loss"] == pytest.approx(-(2 * math.log(3 / 4) + 3 * math.log(1 / 4)) / 5)


def test_of_yes_and_no_the_more_common_answer(config: Callable[..., RunConfig]) -> None:
    given = config(loss="binary_crossentropy")
    train, test = (part.astype(np.float32) for part in LABELS)
    assert baselines(given, train, test) == pytest.approx(baselines(config(), *LABELS))


@pytest.mark.parametrize(("loss", "level"), [("mean_squared_error", 2.0), ("mean_absolute_error", 1.0)])
def test_of_a_regression_the_mean_of_the_training_targets(config: Callable[..., RunConfig], loss: str,
                                                          level: float) -> None:
    assert baselines(config(loss=loss, metrics=()), *VALUES) == {"baseline_accuracy": None, "baseline_loss": level}


def test_several_outputs_have_no_such_answer(config: Callable[..., RunConfig]) -> None:
    assert set(baselines(config(), {"a": VALUES[0]}, {"a": VALUES[1]}).values()) == {None}
