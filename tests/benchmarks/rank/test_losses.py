"""Losses and metrics are their formulas, one number per example, and evaluations their means over the examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.one_process import found_by

from batchscale.benchmarks.config.objectives import check, default_metrics, metric_name
from batchscale.benchmarks.errors import PlanError

launched = pytest.mark.launched
Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return found_by("objective_values.py")


def softmax_entropy(y: Array, z: Array) -> Array:
    """-log(exp(z_y) / sum exp z), over the last axis of z."""
    chosen = np.take_along_axis(z, y[..., None], -1)[..., 0]
    return np.asarray(np.log(np.exp(z).sum(-1)) - chosen)


def sigmoid_entropy(y: Array, z: Array) -> Array:
    s = 1 / (1 + np.exp(-z))
    return np.asarray(-(y * np.log(s) + (1 - y) * np.log(1 - s)))


def expected(name: str, a: dict[str, Array]) -> Array:
    score = a["score"][:, 0]
    values: dict[str, Callable[[], Any]] = {
        "labels": lambda: softmax_entropy(a["labels"], a["logits"]),
        "tokens": lambda: softmax_entropy(a["tokens"], a["token_logits"]).mean(1),
        "right labels": lambda: a["logits"].argmax(-1) == a["labels"],
        "right tokens": lambda: (a["token_logits"].argmax(-1) == a["tokens"]).mean(1),
        "yes": lambda: sigmoid_entropy(a["yes"], score),
        "many yes": lambda: sigmoid_entropy(a["many_yes"], a["scores"]).mean(1),
        "right yes": lambda: (score > 0) == (a["yes"] == 1),
        "right many yes": lambda: ((a["scores"] > 0) == (a["many_yes"] == 1)).mean(1),
        "squared": lambda: (a["numbers"] - score) ** 2,
        "squares": lambda: ((a["columns"] - a["scores"]) ** 2).mean(1),
        "absolute": lambda: np.abs(a["numbers"] - score),
        "column": lambda: np.abs(a["numbers"] - score),
    }
    return np.asarray(values[name](), float)


@launched
@pytest.mark.parametrize("name", ["labels", "tokens", "right labels", "right tokens", "yes", "many yes", "right yes",
                                  "right many yes", "squared", "squares", "absolute", "column"])
def test_every_example_has_the_value_of_the_formula(found: dict[str, Any], name: str) -> None:
    arrays = {key: np.array(value) for key, value in found["arrays"].items()}
    assert len(found["values"][name]) == 7
    assert found["values"][name] == pytest.approx(expected(name, arrays), rel=1e-6)


@launched
def test_an_evaluation_is_the_mean_over_all_examples_whatever_the_chunks(found: dict[str, Any]) -> None:
    one = found["evaluated"]
    error = np.array(one["x"]) @ one["weights"] - one["y"]
    assert set(one["found"]) == {"train_loss", "test_loss", "metrics"}
    assert one["found"]["test_loss"] == pytest.approx((error**2).mean(), rel=1e-12)
    assert one["found"]["train_loss"] == pytest.approx((error[:64]**2).mean(), rel=1e-12)
    assert one["found"]["metrics"] == pytest.approx({"train_mean_absolute_error": np.abs(error[:64]).mean(),
                                                     "test_mean_absolute_error": np.abs(error).mean()}, rel=1e-12)


@launched
def test_a_models_own_penalty_is_minimized_and_not_reported(found: dict[str, Any]) -> None:
    """d/dw [mean (x w - y)^2 + 0.25 |w|^2] = 2 mean x (x w - y) + 0.5 w."""
    one = found["evaluated"]
    x, y, w = (np.array(one[name]) for name in ("x", "y", "weights"))
    error = x[:64] @ w - y[:64]
    assert one["loss"] == pytest.approx((error**2).mean(), rel=1e-12)
    assert one["gradient"] == pytest.approx(2 * (x[:64] * error[:, None]).mean(0) + 0.5 * w, rel=1e-9)


def test_accuracy_is_the_metric_of_classification_alone() -> None:
    assert default_metrics("sparse_categorical_crossentropy") == default_metrics("binary_crossentropy") == ("accuracy",)
    assert default_metrics("mean_squared_error") == default_metrics("mine:loss") == ()
    assert metric_name("mine.metrics:top_5") == "top_5"


@pytest.mark.parametrize(("loss", "metrics", "message"), [
    ("mean_square_error", (), "loss='mean_square_error' is not known.*'mean_squared_error'"),
    ("mean_squared_error", ("acuracy",), "metrics='acuracy' is not known.*'accuracy'"),
    ("mean_squared_error", ("mine:error", "other:error"), "gives the name 'error', which must be used once"),
    ("mean_squared_error", ("mine:loss",), "not be 'loss'"),
    ("mean_squared_error", ("mine:" + "a" * 61,), "no longer than 60"),
])
def test_names_of_losses_and_metrics_are_checked(loss: str, metrics: tuple[str, ...], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        check(loss, metrics)


@launched
def test_only_layers_that_draw_are_noted_for_their_masks(found: dict[str, Any]) -> None:
    drawing = {name for name, draws in found["draws"].items() if draws}
    assert drawing == {"dropout", "lstm with dropout", "gru", "noise"}


@pytest.mark.parametrize(("name", "meant"), [
    ("mse", "'mse' is called 'mean_squared_error' here"), ("MAE", "'MAE' is called 'mean_absolute_error' here"),
    ("categorical_crossentropy", r"one-hot labels give whole numbers, y.argmax\(axis=-1\)")])
def test_names_that_keras_takes_lead_to_those_here(name: str, meant: str) -> None:
    with pytest.raises(PlanError, match=meant):
        check(name, ())


def test_the_ending_matters_to_cross_entropies_and_accuracy_alone() -> None:
    check("sparse_categorical_crossentropy", (), from_logits=False)
    check("mine:loss", ("accuracy",), from_logits=False)
    with pytest.raises(PlanError, match="from_logits = false has no meaning for loss='mean_squared_error'.*Leave it"):
        check("mean_squared_error", (), from_logits=False)
