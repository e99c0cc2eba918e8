"""How a model ends and what its loss takes fit together, as Keras has it, or are refused before any rank starts."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from support.one_process import found_by

pytestmark = pytest.mark.launched
RIGHT = (
    "sparse on softmax", "sparse from logits on linear", "categorical on softmax", "categorical from logits on linear",
    "smoothed from logits on linear", "focal on softmax", "focal from logits on linear", "binary on sigmoid",
    "binary from logits on logit", "binary focal on sigmoid", "binary focal from logits on logit",
    "multi-label binary on sigmoids", "hinge on tanh", "squared hinge on tanh", "huber on linear",
    "log-cosh on linear", "squared on linear", "absolute on linear", "percentage on linear", "logarithmic on softplus",
    "poisson on softplus", "cosine on linear", "categorical hinge on linear", "divergence on softmax",
    "weighted on linear", "two outputs", "two outputs from logits", "two outputs of handmade probabilities",
    "weighted operation on linear", "sample weights on linear", "Brier's on softmax", "own sparse on linear",
    "own sparse on log-softmax",
    "own sparse after an inner softmax", "own sparse of probabilities", "own sparse of handmade probabilities",
    "own sparse of two probabilities", "own binary on logit", "own binary of probabilities",
    "own multi-label of probabilities", "own multi-label on logits", "own squared on sigmoid", "own squared on tanh")
SOFTMAX = "ends in a softmax, and loss 'sparse_categorical_crossentropy' takes logits: .*a second softmax.*from_logits"
SIGMOID = "ends in a sigmoid, and loss 'binary_crossentropy' takes logits: .*a second sigmoid.*from_logits = false"
FIT = r"loss 'own_endings:loss_{0}' is Keras' {1} with from_logits={2}, .*Give it from_logits={3}"
REFUSED = {
    **{f"own sparse on {name}": SOFTMAX
       for name in ("softmax", "softmax_layer", "softmax_operation", "softmax_float32", "softmax_handmade")},
    "own sparse on class_sigmoids": "ends in a sigmoid, and loss 'sparse_categorical_crossentropy' takes logits",
    **{f"own binary on {name}": SIGMOID for name in ("sigmoid", "sigmoid_handmade", "hard_sigmoid")},
    "own binary on log_sigmoid": "ends in a log-sigmoid.*Leave the log-sigmoid out of the last layer.$",
    "own binary on one_softmax": "ends in a softmax, and loss 'binary_crossentropy'",
    "own multi-label on sigmoids": SIGMOID,
    "accuracy on sigmoid": "metric 'accuracy' takes logits, whose sign decides.*from_logits = false",
    "own sparse of no probabilities": "ends in probabilities, and its outputs on the first examples run from .*softmax",
    "own sparse of logarithms": "ends in probabilities, and its outputs are logarithms of them",
    "own binary of no probabilities": "ends in probabilities, and its outputs .*let the last layer be a sigmoid",
    "sparse on linear": FIT.format("sparse", "sparse_categorical_crossentropy", False, True),
    "categorical on linear": FIT.format("categorical", "categorical_crossentropy", False, True),
    "binary on logit": FIT.format("binary", "binary_crossentropy", False, True),
    "sparse from logits on handmade softmax":
        FIT.format("sparse_logits", "sparse_categorical_crossentropy", True, False),
    "two outputs from logits on handmade softmax":
        r"^loss '\S*', of output 'kind', is Keras' sparse_categorical_crossentropy with from_logits=True, which takes "
        r"logits, and the model ends in a softmax. Give it from_logits=False, or let the model end in logits.$",
    "two outputs of probabilities on linear":
        "of output 'kind', is Keras' sparse_categorical_crossentropy with from_logits=False.*Give it from_logits=True",
    "weighted operation on softmax":
        FIT.format("weighted_operation", "sparse_categorical_crossentropy", True, False),
    "sample weights on softmax": FIT.format("weighed", "sparse_categorical_crossentropy", True, False),
    "byte tokens": r"looks up x_train of 'own_endings:byte_tokens' as tokens.*fractions from .*x.astype\('int32'\)",
    "own train_step": "defines its own train_step, which a run does not call",
    "own compute_loss": "defines its own compute_loss, which a run does not call",
    "compiled": r"is compiled \(optimizer RMSprop, loss categorical_crossentropy\), .*Leave model.compile out",
}
NO_COMPARISON = ("whole float tokens", "own binary on zeros")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return found_by("endings.py")


@pytest.mark.parametrize("name", RIGHT)
def test_what_fits_has_the_loss_of_keras_for_every_example(found: dict[str, Any], name: str) -> None:
    assert found["sentences"][name] == ""
    ours, own = found["values"][name]
    assert len(ours) == 40 and np.ptp(ours) > 0
    np.testing.assert_allclose(ours, own, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_one_sentence_with_the_fix(found: dict[str, Any], name: str) -> None:
    assert re.search(REFUSED[name], found["sentences"][name]), found["sentences"][name]


def test_every_case_and_every_loss_is_looked_at(found: dict[str, Any]) -> None:
    assert set(found["sentences"]) == {*RIGHT, *REFUSED, *NO_COMPARISON}
    assert not any(found["sentences"][name] for name in NO_COMPARISON)
    assert len(found["losses"]) == 32
