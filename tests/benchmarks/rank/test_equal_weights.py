"""The same mathematics everywhere: 50 steps in float64 from equal weights end in equal weights on every strategy."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from _pytest.mark import ParameterSet
from support.launching import ranks_of_two_replicas
from support.rank_servers import launched_once

from batchscale.benchmarks.config.strategies import STRATEGIES as SPECS, variants

pytestmark = pytest.mark.launched
STRATEGIES = tuple(variants())  # "single", with which the others are compared, is the first
CASES = [*("-".join(case) for case in itertools.product(("mlp_128", "cnn_small"), ("sgd", "momentum", "adam"),
                                                        ("resident",))),
         *(f"cnn_small-{optimizer}-resident" for optimizer in ("nesterov", "adamw", "lars", "lamb")),
         "mlp_128-momentum-resident-clipped", "cnn_small-adamw-resident-clipped",
         "mlp_128-momentum-resident-accumulated", "cnn_small-lars-resident-accumulated",
         "mlp_128-momentum-resident-regression", "own-adam-resident-two_kinds", "own-adam-stream-two_kinds",
         "own-adam-resident-two_kinds_accumulated"]
SEVERAL = tuple(name for name, (strategy, _) in variants().items() if SPECS[strategy].many_replicas)
# All strategies train by the same loop; each does the cases that differ in how a mean, a broadcast and a gather are
# made and in where variables lie, Horovod with MPI also those of every optimizer's kind; the rest is slow.
WHOLE = ("single",)
FEW = ("mlp_128-momentum-resident", "mlp_128-momentum-stream", "mlp_128-momentum-resident-accumulated",
       "own-adam-stream-two_kinds", "mlp_128-momentum-resident-interrupted", "mlp_128-momentum-resident-groups")
ONE = ("mlp_128-momentum-resident",)
SOME = {"mirrored": (*FEW, "cnn_small-lars-resident-accumulated"),
        "horovod-mpi": (*FEW, "cnn_small-lamb-resident", "own-adam-resident-two_kinds_accumulated")}
NORMALIZED = "normalized"
TOLERANCE = 1e-9
Weights = npt.NDArray[np.float64]


def most_used(strategies: Iterable[str]) -> list[str | ParameterSet]:
    """The strategies, of which all but the most used are slow."""
    return [name if name in ("single", "mirrored", "horovod-mpi") else pytest.param(name, marks=pytest.mark.slow)
            for name in strategies]


class Launched:
    """What two replicas of a strategy trained, each case once."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self.folder = launched_once(folders, "equal_weights")

    def weights(self, strategy: str, case: str) -> Weights:
        return np.asarray(np.load(self.folder(strategy, case) / "weights.npy"))

    def normalized(self, strategy: str) -> dict[str, Any]:
        """What batch norm left behind."""
        return dict(json.loads((self.folder(strategy, NORMALIZED) / "normalized.json").read_text()))


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    return Launched(tmp_path_factory)


def pairs(cases: Sequence[str], strategies: Sequence[str] = STRATEGIES, suffix: str = "") -> list[ParameterSet]:
    """Every strategy with every case; those that are for WHOLE alone are slow on the others."""
    return [pytest.param(strategy, case, marks=[pytest.mark.slow] * (
                strategy not in WHOLE and case + suffix not in SOME.get(strategy, ONE)))
            for strategy in strategies for case in cases]


def distance(w: Weights, other: Weights) -> float:
    """|w - w'| / |w| over all trainable weights."""
    return float(np.linalg.norm(w - other) / np.linalg.norm(w))


@pytest.mark.parametrize(("strategy", "case"), pairs(CASES, STRATEGIES[1:]))
def test_two_replicas_train_to_the_same_weights_as_one(launched: Launched, case: str, strategy: str) -> None:
    together, alone = launched.weights(strategy, case), launched.weights("single", case)
    assert alone.dtype == np.float64 and len(alone) > 1000
    assert distance(alone, together) <= TOLERANCE


@pytest.mark.parametrize("strategy", most_used(STRATEGIES))
def test_streamed_examples_train_to_the_same_weights_as_resident_ones(launched: Launched, strategy: str) -> None:
    resident = launched.weights(strategy, "mlp_128-momentum-resident")
    streamed = launched.weights(strategy, "mlp_128-momentum-stream")
    assert distance(resident, streamed) <= TOLERANCE


@pytest.mark.parametrize(("strategy", "case"), pairs(
    ["mlp_128-momentum-resident", "mlp_128-momentum-stream", "cnn_small-lars-resident"], suffix="-accumulated"))
def test_micro_batches_train_to_the_weights_of_the_global_batch(launched: Launched, case: str, strategy: str) -> None:
    real, emulated = launched.weights("single", case), launched.weights(strategy, f"{case}-accumulated")
    assert distance(real, emulated) <= TOLERANCE


@pytest.mark.parametrize(("strategy", "case"), pairs(
    ["mlp_128-momentum-resident", "cnn_small-adam-resident"], SEVERAL, suffix="-groups"))
def test_gradients_in_groups_train_to_the_weights_of_one_replica(launched: Launched, case: str, strategy: str) -> None:
    alone, in_groups = launched.weights("single", case), launched.weights(strategy, f"{case}-groups")
    assert distance(alone, in_groups) <= TOLERANCE


@pytest.mark.parametrize(("strategy", "case"), pairs(
    ["own-adam-stream-two_kinds", "own-adam-resident-two_kinds_accumulated"]))
def test_several_inputs_and_outputs_train_alike_in_every_feed(launched: Launched, case: str, strategy: str) -> None:
    plain = launched.weights("single", "own-adam-resident-two_kinds")
    assert distance(plain, launched.weights(strategy, case)) <= TOLERANCE


@pytest.mark.parametrize(("strategy", "case"), pairs(
    ["mlp_128-momentum-resident", "cnn_small-adamw-resident"], suffix="-interrupted"))
def test_interrupted_training_goes_on_to_the_same_weights(launched: Launched, case: str, strategy: str) -> None:
    cut = f"{case}-interrupted"
    assert np.array_equal(launched.weights(strategy, case), launched.weights(strategy, cut))


@pytest.mark.parametrize(("case", "other"), [
    ("mlp_128-momentum-resident", "mlp_128-sgd-resident"),
    ("mlp_128-momentum-resident", "mlp_128-momentum-resident-clipped"),
    ("cnn_small-momentum-resident", "cnn_small-nesterov-resident"),
    ("cnn_small-momentum-resident", "cnn_small-lars-resident"),
    ("cnn_small-adam-resident", "cnn_small-adamw-resident"),
])
def test_the_distance_sees_a_difference(launched: Launched, case: str, other: str) -> None:
    assert distance(launched.weights("single", case), launched.weights("single", other)) > 1e-3


@pytest.mark.parametrize("strategy", most_used(SEVERAL))
def test_moving_statistics_are_averaged_and_every_rank_evaluates_alike(launched: Launched, strategy: str) -> None:
    found = launched.normalized(strategy)
    apart, together = np.array(found["apart"]), np.array(found["together"])
    assert len(apart) == len(together) == 2 and found["weights_kept"]
    assert not np.array_equal(apart[0], apart[1]), "each replica normalizes its own batches"
    assert np.array_equal(together[0], together[1])
    assert together[0] == pytest.approx(apart.mean(axis=0), rel=1e-12, abs=1e-12)
    assert len(found["metrics"]) == ranks_of_two_replicas(strategy)
    assert all(metrics == found["metrics"][0] for metrics in found["metrics"])


@pytest.mark.parametrize("strategy", most_used(STRATEGIES))
def test_a_probe_leaves_the_moving_statistics_as_they_were(launched: Launched, strategy: str) -> None:
    found = launched.normalized(strategy)
    assert found["probed"] != found["together"], "gradients in training mode move them"
    assert found["kept"] == found["together"]


@pytest.mark.parametrize(("strategy", "ghost"), [("single", 64), ("mirrored", 32)])
def test_the_batch_that_is_normalized_over_is_known(launched: Launched, strategy: str, ghost: int) -> None:
    found = launched.normalized(strategy)
    assert found["ghost_batch"] == ghost
    plain, accumulated = found["notes"]
    over = f"over {ghost // 4} examples"  # of a micro-batch
    assert not any(over in note for note in plain) and any(over in note for note in accumulated)
