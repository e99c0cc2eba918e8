"""The same mathematics everywhere: 50 steps in float64 from equal weights end in equal weights on every strategy."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from conftest import PROGRAMS, environment, rank_words, require_strategy

pytestmark = pytest.mark.launched
STRATEGIES = ("single", "mirrored", "horovod-gloo", "horovod-mpi")
CASES = ["-".join(case) for case in itertools.product(("mlp_128", "cnn_small"), ("sgd", "momentum", "adam"),
                                                      ("resident",))]
TOLERANCE = 1e-9
Weights = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each strategy's folder of weights; each strategy is launched once, also when it fails."""
    @lru_cache
    def launch(strategy: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
        folder = tmp_path_factory.mktemp(strategy)
        words = rank_words(strategy, 2, [sys.executable, str(PROGRAMS / "equal_weights.py"), strategy, str(folder)])
        return folder, subprocess.run(words, capture_output=True, text=True, timeout=240, env=environment())

    def weights_folder(strategy: str) -> Path:
        require_strategy(strategy)
        folder, done = launch(strategy)
        assert done.returncode == 0, done.stderr[-3000:]
        return folder
    return weights_folder


def weights(folder: Path, case: str) -> Weights:
    return np.asarray(np.load(folder / f"{folder.name.rstrip('0')}-{case}.npy"))


def distance(w: Weights, other: Weights) -> float:
    """|w - w'| / |w| over all trainable weights."""
    return float(np.linalg.norm(w - other) / np.linalg.norm(w))


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
@pytest.mark.parametrize("case", CASES)
def test_two_replicas_train_to_the_same_weights_as_one(launched: Callable[[str], Path], case: str,
                                                       strategy: str) -> None:
    together, alone = weights(launched(strategy), case), weights(launched("single"), case)
    assert alone.dtype == np.float64 and len(alone) > 1000
    assert distance(alone, together) <= TOLERANCE


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_streamed_examples_train_to_the_same_weights_as_resident_ones(launched: Callable[[str], Path],
                                                                      strategy: str) -> None:
    resident = weights(launched(strategy), "mlp_128-momentum-resident")
    streamed = weights(launched(strategy), "mlp_128-momentum-stream")
    assert distance(resident, streamed) <= TOLERANCE


def test_the_distance_sees_a_difference(launched: Callable[[str], Path]) -> None:
    sgd = weights(launched("single"), "mlp_128-sgd-resident")
    momentum = weights(launched("single"), "mlp_128-momentum-resident")
    assert distance(sgd, momentum) > 1e-3
