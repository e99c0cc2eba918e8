"""AdaScale in the compiled loop: gains, rates and the end of the run are those of a second derivation in numpy."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.rank_servers import launched_once
from support.one_process import found_by
from support.programs.adascale_gains import GLOBAL_BATCH, GROUPS, REFERENCES, configuration

from support.adascale_gain import adascale_gain
from batchscale.benchmarks import data
from batchscale.benchmarks.config.strategies import variants
from batchscale.benchmarks.data import epoch_order

pytestmark = pytest.mark.launched
# The others are slow: equal_weights has them.
STRATEGIES = [pytest.param(name, marks=[pytest.mark.slow] * (name != "single")) for name in variants()]
Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], dict[str, Any]]:
    """What the loop did at a reference batch; each strategy is launched once."""
    folder_of = launched_once(tmp_path_factory, "adascale_gains")
    return lambda strategy, reference: json.loads((folder_of(strategy) / "gains.json").read_text())[str(reference)]


def group_gradients(kernel: Floats, bias: Floats, x: Floats, y: npt.NDArray[np.int32]) -> Floats:
    """Softmax regression's gradient over each of GROUPS groups, float64[groups, weights]: x^T (p - onehot) / n."""
    logits = x @ kernel + bias
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    parts = [(a.T @ e / len(a), e.mean(axis=0)) for a, e in zip(np.split(x, GROUPS), np.split(p, GROUPS))]
    return np.array([np.concatenate([k.ravel(), b]) for k, b in parts])


def averages(samples: list[tuple[float, float]], theta: float) -> Floats:
    """Of the samples so far: their mean while there are fewer than 1 / (1 - theta), exponential after."""
    t = len(samples)
    if t == 1 or t < 1 / (1 - theta):
        return np.asarray(np.mean(samples, axis=0))
    return np.asarray(theta * averages(samples[:-1], theta) + (1 - theta) * np.array(samples[-1]))


def by_hand(reference: int, start: Floats) -> Iterator[tuple[float, float, float]]:
    """(tau, r, rate) after each step, from the weights `start`. Momentum as u <- m u + g, w <- w - eta u."""
    config = configuration("single", reference)
    split = data.split(data.load("digits"), 0.0, 32)
    x, y = np.asarray(split.train[0], np.float64).reshape(len(split.train[1]), -1), np.asarray(split.train[1], np.int32)
    reference_epoch = config.train_examples // reference
    total, scale, theta = 2 * reference_epoch, GLOBAL_BATCH / reference, max(1 - GLOBAL_BATCH / reference / 1000, 0)
    weights, velocity, tau, samples = start.copy(), np.zeros_like(start), 0.0, list[tuple[float, float]]()
    for step in range(total):
        epoch, row = divmod(step, config.train_examples // GLOBAL_BATCH)
        chosen = epoch_order(config.seed, epoch, config.train_examples)[row * GLOBAL_BATCH:(row + 1) * GLOBAL_BATCH]
        gradients = group_gradients(weights[:-10].reshape(-1, 10), weights[-10:], x[chosen], y[chosen])
        r = 1.0
        if samples:
            variance, mean_squared = averages(samples, theta)
            r = (variance + mean_squared) / (variance / scale + mean_squared)
        halved = math.floor(tau) * 2 / total >= 0.5  # epochs of the reference batch's run; decay_epochs = 0.5
        rate = r * float(np.float32(0.002 * (0.5 if halved else 1.0)))
        mean = gradients.mean(axis=0)
        velocity = 0.5 * velocity + mean
        weights = weights - rate * velocity
        found = adascale_gain(GROUPS, GLOBAL_BATCH // GROUPS, float(np.mean(np.sum(gradients**2, axis=1))),
                              float(mean @ mean), reference)
        samples.append((found.variance, found.mean_squared))
        tau += r
        yield tau, r, rate
        if tau >= total:
            return


@pytest.fixture(scope="module")
def start() -> Floats:
    return np.array(found_by("initial_weights.py")["weights"])


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_step_is_that_of_the_formulas(found: Callable[[str, int], dict[str, Any]], start: Floats, strategy: str,
                                            reference: int) -> None:
    steps = found(strategy, reference)["steps"]
    expected = list(by_hand(reference, start))
    assert len(steps) == len(expected), "the run ends where tau reaches the reference batch's steps"
    got = [(step["reference_steps"], step["gain"], step["rate"]) for step in steps]
    assert np.array(got) == pytest.approx(np.array(expected), rel=1e-9)
    assert steps[0]["gain"] == 1.0
    assert all(1 <= step["gain"] <= GLOBAL_BATCH / reference for step in steps)


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_segments_end_as_single_steps_do(found: Callable[[str, int], dict[str, Any]], strategy: str,
                                         reference: int) -> None:
    ran = found(strategy, reference)
    assert ran["segments"][-1] == ran["steps"][-1]
    assert ran["weights_after_segments"] == ran["weights_after_steps"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_checkpoint_keeps_the_gains(found: Callable[[str, int], dict[str, Any]], strategy: str) -> None:
    ran = found(strategy, 16)
    assert ran["resumed"] == ran["segments"]
    assert ran["weights_after_resumed"] == ran["weights_after_segments"]


def test_a_larger_batch_takes_fewer_steps_than_the_reference_batch(found: Callable[[str, int], dict[str, Any]]) -> None:
    config = configuration("single", 16)
    taken = len(found("single", 16)["steps"])
    assert config.steps == 2 * (config.train_examples // 16)
    assert config.steps / 4 <= taken < config.steps


def test_at_the_reference_batch_one_group_is_enough_and_the_gain_is_one(
        found: Callable[[str, int], dict[str, Any]]) -> None:
    alone, grouped = found("single", 0)["steps"], found("single", GLOBAL_BATCH)["steps"]
    assert {step["gain"] for step in (*alone, *grouped)} == {1.0}
    assert len(alone) == len(grouped) == configuration("single", GLOBAL_BATCH).steps
