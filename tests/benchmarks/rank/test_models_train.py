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
Found = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return launched_once(tmp_path_factory, "models_train")


def found(folder: Path) -> Found:
    return dict(json.loads((folder / "found.json").read_text()))


def weights(folder: Path, case: str) -> npt.NDArray[np.float64]:
    return np.asarray(np.load(folder / f"{case}.npy"))


def distance(w: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return float(np.linalg.norm(w - other) / np.linalg.norm(w))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("model", MODELS)
def test_the_model_trains_and_its_replicas_agree_bit_for_bit(launched: Callable[[str], Path], strategy: str,
                                                             model: str) -> None:
    before, after = found(launched(strategy))[f"model {model}"]["losses"]  # the program checks the agreement
    # Three steps leave ResNet50's moving statistics near their start, and its loss in inference mode as it was.
    assert after < 0.9 * before if model != "ResNet50" else abs(after / before - 1) < 0.5


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_slow_moving_statistics_are_told_of_in_the_record(launched: Callable[[str], Path], strategy: str) -> None:
    told = found(launched(strategy))
    assert any("need 458 updates" in note for note in told["model ResNet50"]["notes"])
    assert told["model resnet_20"]["notes"] == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_synchronized_batch_norm_on_replicas_is_batch_norm_over_the_global_batch(launched: Callable[[str], Path],
                                                                                 strategy: str) -> None:
    alone = weights(launched("single"), "apart")
    assert distance(alone, weights(launched(strategy), "synchronized")) <= TOLERANCE
    assert found(launched(strategy))["synchronized"]["ghost_batch"] == 64
    assert found(launched(strategy))["synchronized accumulated"]["ghost_batch"] == 32


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_batch_norm_that_is_not_synchronized_is_another_model(launched: Callable[[str], Path], strategy: str) -> None:
    assert distance(weights(launched("single"), "apart"), weights(launched(strategy), "apart")) > 1e-3
    assert found(launched(strategy))["apart"]["ghost_batch"] == 32


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("model", ["mlp_128", "cnn_small"])
def test_mixed_precision_trains_as_float32_does_with_variables_in_float32(
        launched: Callable[[str], Path], strategy: str, precision: str, model: str) -> None:
    case = found(launched(strategy))[f"precision {precision} {model}"]
    before, after = case["losses"]
    plain = found(launched(strategy))[f"precision float32 {model}"]["losses"][1]
    assert case["dtypes"] == ["float32"] and after < 0.5 * before
    assert after == pytest.approx(plain, rel=0.1)
    mixed, full = (weights(launched(strategy), f"precision-{p}-{model}") for p in (precision, "float32"))
    assert distance(full, mixed) > 1e-6, "16 bits round"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_overflow_on_one_replica_skips_the_step_on_all(launched: Callable[[str], Path], strategy: str) -> None:
    """One of 64 examples overflows, which one replica meets, once in 4 steps; moving statistics stay finite too."""
    case = found(launched(strategy))["overflow"]
    assert (case["skipped_steps"], case["loss_scale"], case["finite"]) == (1, 2.0**14, True)
    assert any("1 step was left out" in note for note in case["notes"])


def test_the_scale_doubles_after_enough_good_steps_and_halves_at_a_bad_one(launched: Callable[[str], Path]) -> None:
    assert found(launched("single"))["overflow"]["growth"] == [2.0**k for k in (15, 15, 16, 15, 15, 15, 16)]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("suffix", "tolerance"), [("", 1e-5), (" mixed", 1e-3)])
def test_jit_compiles_and_changes_no_more_than_rounding(launched: Callable[[str], Path], strategy: str, suffix: str,
                                                        tolerance: float) -> None:
    told, folder = found(launched(strategy)), launched(strategy)
    assert (told[f"jit{suffix}"]["compiled"], told[f"no jit{suffix}"]["compiled"]) == (True, False)
    name = suffix.replace(" ", "-")
    assert distance(weights(folder, f"no-jit{name}"), weights(folder, f"jit{name}")) < tolerance
