"""What an example costs a core is measured on the gradient itself, and costs no error where that cannot be repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from batchscale.benchmarks.rank.workload.pace import example_seconds, MOST_EXAMPLES

X, Y = np.ones((200, 32), np.float32), np.zeros(200, np.int64)


def gradient_of(width: int, seen: list[int] | None = None) -> Any:
    weights = tf.Variable(tf.ones((32, width)))

    def gradient(x: Any, y: Any) -> Any:
        if seen is not None:
            seen.append(int(x.shape[0]))
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ weights)
            loss = tf.reduce_sum(hidden @ tf.transpose(hidden))
        return loss, [tape.gradient(loss, weights), None]

    return gradient


def test_a_larger_model_takes_longer() -> None:
    small, large = (example_seconds(gradient_of(width), X, Y, 1e5) for width in (8, 16_384))
    assert small is not None and large is not None and 0 < 5 * small < large


@pytest.mark.parametrize("flops, examples", [(1e5, MOST_EXAMPLES), (1e8, 6), (1e12, 1), (0, 1)])
def test_a_large_model_is_tried_on_fewer_examples(flops: float, examples: int) -> None:
    seen: list[int] = []
    assert example_seconds(gradient_of(8, seen), X, Y, flops) is not None
    assert set(seen) == {examples}


def test_a_small_model_is_not_tried_since_its_steps_are_overhead() -> None:
    assert example_seconds(lambda x, y: pytest.fail("it is not called"), X, Y, 99_000.0) is None


def test_what_cannot_be_repeated_in_a_loop_has_no_estimate() -> None:
    def gradient(x: Any, y: Any) -> Any:
        raise ValueError("not here")

    assert example_seconds(gradient, X, Y, 1e5) is None
