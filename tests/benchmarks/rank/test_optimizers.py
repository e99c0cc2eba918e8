"""The fused updates are Keras' updates: equal weights after 50 steps in float64."""

from __future__ import annotations


import pytest
from support.one_process import found_by

pytestmark = pytest.mark.launched


@pytest.fixture(scope="module")
def differences() -> dict[str, float]:
    return found_by("optimizer_updates.py")


@pytest.mark.parametrize("name", [
    "sgd", "momentum", "nesterov", "momentum correction", "nesterov correction", "published lars", "lars correction",
    "textbook adam", "textbook adam_sqrt", "textbook adamw", "textbook lamb"])
def test_updates_equal_keras_and_the_formulas(differences: dict[str, float], name: str) -> None:
    assert differences[name] < 1e-9


@pytest.mark.parametrize("name", ["adam", "adamw", "lamb"])
def test_adam_equals_keras_but_for_the_betas_that_keras_rounds(differences: dict[str, float], name: str) -> None:
    # Keras raises float32(beta) to the step even for float64 weights: 1 - 0.999^t is off by up to 5e-6 at t = 1.
    assert differences[name] < 5e-6


@pytest.mark.parametrize("name", ["a different rate", "lars against momentum", "decay against none"])
def test_another_update_is_seen(differences: dict[str, float], name: str) -> None:
    assert differences[name] > 1e-2


def test_a_kernel_of_zeros_is_updated_at_the_plain_rate(differences: dict[str, float]) -> None:
    assert differences["from zero"] > 1e-3
