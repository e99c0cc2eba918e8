"""What a script gives to fit trains as Keras' own fit does: equal weights after 20 steps in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from support.rank_servers import launched_once

from batchscale.benchmarks.config.optimizers import KERAS_RATES

pytestmark = pytest.mark.launched
TOLERANCE = 1e-9
Weights = npt.NDArray[np.float64]
EVERY = [*(f"one_output {name}" for name in KERAS_RATES), "one_output SGD momentum=0.5",
         "one_output SGD momentum=0.5 nesterov=true", "one_output SGD clipnorm=0.1", "one_output Adam scaled",
         "two_outputs", "own_step", "no_targets", "mean_of_pairs", "texts", "tokens once"]
# What differs in how slots begin, how many steps are counted, and which shapes slots have; the rest is slow.
FEW = ("one_output Adam", "one_output Adafactor", "two_outputs", "own_step", "no_targets", "mean_of_pairs", "texts")
# The script's own object, a plan's name for the same, and the suite's own update stand for each other.
NAMED = ["one_output SGD momentum=0.5 by keras:SGD momentum=0.5", "one_output Lion by script:one_output.py Lion"]
BY_HOROVOD = ("two_outputs", "own_step", "no_targets", "mean_of_pairs", "one_output Nadam", "one_output Adagrad")
TOGETHER = [*((case, "mirrored") for case in EVERY), *((case, "horovod-mpi") for case in BY_HOROVOD)]
SHORT = [(case, "mirrored") for case in ("own_step", "no_targets", "mean_of_pairs")]


class Trained:
    """The weights that a strategy, and Keras' own fit, trained in each case."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self.folder = launched_once(folders, "script_weights")

    def weights(self, case: str, strategy: str = "single", who: str = "ours") -> list[Weights]:
        folder: Path = self.folder(strategy, case)
        with np.load(folder / "weights.npz") as found:
            return [found[name] for name in sorted(found) if name.startswith(who)]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory)


def distance(found: list[Weights], other: list[Weights]) -> float:
    """The largest |w - w'| / |w| of any weight."""
    assert len(found) == len(other) > 2
    return max(float(np.linalg.norm(w - v) / np.linalg.norm(w)) for w, v in zip(found, other))


@pytest.mark.parametrize("case", [pytest.param(case, marks=[pytest.mark.slow] * (case not in FEW))
                                  for case in (*EVERY, *NAMED)])
def test_a_script_trains_to_the_weights_of_its_own_fit(launched: Trained, case: str) -> None:
    assert distance(launched.weights(case, who="theirs"), launched.weights(case)) <= TOLERANCE


@pytest.mark.parametrize(("case", "strategy"), [
    pytest.param(*one, marks=[pytest.mark.slow] * (one not in SHORT)) for one in TOGETHER])
def test_two_replicas_train_to_the_weights_of_fit_with_the_global_batch(launched: Trained, case: str,
                                                                        strategy: str) -> None:
    assert distance(launched.weights(case, who="theirs"), launched.weights(case, strategy)) <= TOLERANCE


@pytest.mark.slow
def test_an_embedding_differs_from_fit_where_a_batch_has_a_token_several_times(launched: Trained) -> None:
    """Keras squares the gradient of each occurrence, a run their sum; a note says so (script/optimizer.py)."""
    assert distance(launched.weights("tokens repeated", who="theirs"), launched.weights("tokens repeated")) > 1e-3


@pytest.mark.parametrize("other", ["one_output Adafactor",
                                   pytest.param("one_output Adam by adam", marks=pytest.mark.slow)])
def test_the_distance_sees_another_update(launched: Trained, other: str) -> None:
    """Keras rounds Adam's betas to float32 also for weights of float64, which the suite's own does not."""
    assert distance(launched.weights("one_output Adam"), launched.weights(other)) > 1e-6
