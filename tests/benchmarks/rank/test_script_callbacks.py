"""EarlyStopping and ReduceLROnPlateau of a script stop a run, restore its weights and lower its rate as in Keras."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.rank_servers import launched_once

pytestmark = pytest.mark.launched
STEPS = 15  # of an epoch: 117 examples in batches of 8, the last one of 5
PATIENCE, RATE, LOWEST = 3, 0.1, 0.04  # of stops.py; the run's rate is twice the script's, and so is the lowest


@pytest.fixture(scope="module", params=["single", pytest.param("mirrored", marks=pytest.mark.slow),
                                        pytest.param("horovod-mpi", marks=pytest.mark.slow)])
def followed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = launched_once(tmp_path_factory, "script_follows")(request.param)
    found: dict[str, Any] = json.loads((folder / "followed.json").read_text())
    return found


def losses(followed: dict[str, Any]) -> list[float]:
    """The test loss that callbacks saw at each epoch's end; the last of all is replaced where weights were restored."""
    return [row["test_loss"] for row in followed["rows"] if row["step"] % STEPS == 0]


def best_epoch(followed: dict[str, Any]) -> int:
    seen = losses(followed)[:-1]  # the last one was no best, or the run had not ended
    return seen.index(min(seen)) + 1


def test_it_ends_when_the_loss_has_not_fallen_for_as_many_epochs_as_it_has_patience(followed: dict[str, Any]) -> None:
    epochs = followed["rows"][-1]["epoch"]
    assert epochs == len(losses(followed)) == best_epoch(followed) + PATIENCE < 12
    assert f"EarlyStopping ended the training after epoch {epochs:g} of 12" in followed["said"]


def test_the_last_evaluation_is_that_of_the_best_weights(followed: dict[str, Any]) -> None:
    best, last = followed["rows"][place_of_best(followed)], followed["rows"][-1]
    for name in ("train_loss", "test_loss", "test_accuracy"):
        assert last[name] == pytest.approx(best[name], rel=1e-12)
    assert f"EarlyStopping restored the weights of epoch {best_epoch(followed)}, to which the last evaluation belongs" \
        in followed["said"]


def place_of_best(followed: dict[str, Any]) -> int:
    """The place of the best epoch's row."""
    return next(at for at, row in enumerate(followed["rows"]) if row["step"] == STEPS * best_epoch(followed))


def test_the_rate_is_halved_after_each_epoch_without_a_fall_and_no_lower_than_the_lowest(
        followed: dict[str, Any]) -> None:
    seen, rate, best, expected = losses(followed), RATE, float("inf"), []
    for epoch, loss in enumerate(seen):
        expected.append(rate)
        if loss < best - 1e-4:  # Keras' default of min_delta
            best = loss
        elif epoch < len(seen) - 1:
            rate = max(rate / 2, LOWEST)
    by_epoch = {start // STEPS: rate for start, rate in followed["rates"]}
    assert [by_epoch[epoch] for epoch in range(len(seen))] == pytest.approx(expected, rel=1e-6)


def test_a_record_says_that_its_test_data_chose(followed: dict[str, Any]) -> None:
    assert any("watched the test data, by which this run is judged" in note for note in followed["notes"])
