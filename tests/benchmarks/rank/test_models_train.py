"""Built-in models train on every strategy; mixed precision, jit and synchronized batch norm do what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.rank_servers import launched_once

pytestmark = pytest.mark.launched
STRATEGIES = ("single", "mirrored", *(pytest.param(name, marks=pytest.mark.slow) for name in
                                      ("multiworker", "horovod-gloo")))  # two processes for minutes
MODELS = ("resnet_20", "ResNet50", "vit_4x64", "causal_2x64")
TOLERANCE = 1e-9
Floats = npt.NDArray[np.float64]
Launch = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Launch:
    """(strategy, case) -> the folder with what the case came to."""
    return launched_once(tmp_path_factory, "models_train")


def found(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "found.json").read_text()))


def weights(folder: Path) -> Floats:
    return np.asarray(np.load(folder / "weights.npy"))


def distance(w: Floats, other: Floats) -> float:
    return float(np.linalg.norm(w - other) / np.linalg.norm(w))


@pytest.mark.parametrize(("strategy", "model"), [
    pytest.param(strategy, model, marks=pytest.mark.slow)  # small_models' layers are theirs; test_models.py builds them
    for strategy in ("single", "mirrored", "multiworker", "horovod-gloo") for model in MODELS])
def test_the_model_trains_and_its_replicas_agree_bit_for_bit(launched: Launch, strategy: str, model: str) -> None:
    before, after = found(launched(strategy, f"model {model}"))["losses"]  # the program checks the agreement
    # Three steps leave ResNet50's moving statistics near their start, and its loss in inference mode as it was.
    assert after < 0.9 * before if model != "ResNet50" else abs(after / before - 1) < 0.5


def test_slow_moving_statistics_are_warned_of_in_the_record(launched: Launch) -> None:
    assert any("need 458 updates" in note for note in found(launched("single", "apart"))["notes"])
    assert found(launched("single", "no jit mixed"))["notes"] == [], "a model without batch norm"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_synchronized_batch_norm_on_replicas_is_batch_norm_over_the_global_batch(launched: Launch,
                                                                                 strategy: str) -> None:
    alone, together = launched("single", "apart"), launched(strategy, "synchronized")
    assert distance(weights(alone), weights(together)) <= TOLERANCE
    assert found(together)["ghost_batch"] == 64
    assert found(launched(strategy, "synchronized accumulated"))["ghost_batch"] == 32


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_batch_norm_that_is_not_synchronized_is_another_model(launched: Launch, strategy: str) -> None:
    assert distance(weights(launched("single", "apart")), weights(launched(strategy, "apart"))) > 1e-3
    assert found(launched(strategy, "apart"))["ghost_batch"] == 32


@pytest.mark.parametrize("strategy", ["single", *(pytest.param(name, marks=pytest.mark.slow) for name in
                                                  ("mirrored", "multiworker", "horovod-gloo"))])
@pytest.mark.parametrize("precision", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("model", ["mlp_128", pytest.param("cnn_small", marks=pytest.mark.slow)])
def test_mixed_precision_trains_as_float32_does_with_variables_in_float32(launched: Launch, strategy: str,
                                                                          precision: str, model: str) -> None:
    mixed, full = (launched(strategy, f"precision {name} {model}") for name in (precision, "float32"))
    before, after = found(mixed)["losses"]
    assert found(mixed)["dtypes"] == ["float32"] and after < 0.5 * before
    assert after == pytest.approx(found(full)["losses"][1], rel=0.1)
    assert distance(weights(full), weights(mixed)) > 1e-6, "16 bits round"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_overflow_on_one_replica_skips_the_step_on_all(launched: Launch, strategy: str) -> None:
    """One of 64 examples overflows, which one replica meets, once in 4 steps; moving statistics stay finite too."""
    case = found(launched(strategy, "overflow"))
    assert (case["skipped_steps"], case["loss_scale"], case["finite"]) == (1, 2.0**14, True)
    assert any("1 step was left out" in note for note in case["notes"])


def test_the_scale_doubles_after_enough_good_steps_and_halves_at_a_bad_one(launched: Launch) -> None:
    assert found(launched("single", "overflow"))["growth"] == [2.0**k for k in (15, 15, 16, 15, 15, 15, 16)]


@pytest.mark.parametrize("strategy", ["single", *(pytest.param(name, marks=pytest.mark.slow) for name in
                                                  ("mirrored", "multiworker", "horovod-gloo"))])
@pytest.mark.parametrize(("suffix", "tolerance"), [pytest.param("", 1e-5, marks=pytest.mark.slow), (" mixed", 1e-3)])
def test_jit_compiles_and_changes_no_more_than_rounding(launched: Launch, strategy: str, suffix: str,
                                                        tolerance: float) -> None:
    plain, compiled = launched(strategy, f"no jit{suffix}"), launched(strategy, f"jit{suffix}")
    assert (found(compiled)["compiled"], found(plain)["compiled"]) == (True, False)
    assert distance(weights(plain), weights(compiled)) < tolerance


@pytest.mark.parametrize("strategy", ["mirrored", "horovod-mpi", *(pytest.param(name, marks=pytest.mark.slow) for name
                                                                   in ("multiworker", "horovod-gloo"))])
def test_replicas_whose_gradients_are_not_averaged_are_found_apart(launched: Launch, strategy: str) -> None:
    """What Horovod does around a Keras 3 optimizer; test_launched.py has such ranks end a run."""
    case = found(launched(strategy, "broken"))
    assert "do not train together" in case["said"] and case["after"] == "good"
