"""Shallue et al.'s layout: steps to the target, best over trials, and the critical batch that follows."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from support.foreign_files import bring, law, reported, study

from batchscale.benchmarks.errors import RecordError


def rows(*each: tuple[int, float]) -> list[tuple[float, ...]]:
    return [(step, error, error, error + 0.01) for step, error in each]


def test_the_best_complete_trial_at_each_batch_gives_the_critical_batch(tmp_path: Path) -> None:
    """steps(B) = 100 (1 + 64 / B) exactly: B_crit 64, S_min 100, E_min 6400, whatever the other trials do."""
    for batch in (16, 32, 64, 128, 256):
        best = 100 * (1 + 64 / batch)
        study(tmp_path / "data", batch, {
            1: ("COMPLETE", rows((0, 0.9), (round(best) * 2, 0.2))),
            2: ("COMPLETE", rows((0, 0.9), (round(best) - 1, 0.3), (round(best), 0.29), (round(best) * 3, 0.1))),
            7: ("INFEASIBLE", rows((0, 0.9), (1, 0.0))), 10: ("COMPLETE", rows((0, 0.9), (50, 0.5))),
            11: ("INCOMPLETE", rows((1, 0.0)))})
    results = bring(tmp_path / "data", "batch-science")
    assert len(results.runs) == 5 * 4 and (results.statuses["status"] == "diverged").sum() == 5
    found = law(results)
    assert [point.steps.value for point in found.points] == [500, 300, 200, 150, 125]
    assert found.critical_batch.value == pytest.approx(64, rel=1e-6)
    assert found.minimum_steps.value == pytest.approx(100, rel=1e-6)
    assert found.minimum_amount.value == pytest.approx(6400, rel=1e-6)
    # by the 1.2 rules: examples are 8000 9600 12800 ..., so 9600 <= 1.2 x 8000; steps 150 <= 1.2 x 125
    assert (found.useful.perfect_scaling_end, found.useful.largest_useful) == (32, 128)
    assert all(point.learning_rate == pytest.approx(0.2) and point.amount.n == 4 for point in found.points)
    page, _ = reported(tmp_path / "results")
    assert "the target is val/classification_error &lt; 0.3, the paper&#39;s" in page and "best trial" in page


def test_errors_become_accuracies_and_losses_stay(tmp_path: Path) -> None:
    place = study(tmp_path / "data", 16, {1: ("COMPLETE", rows((10, 0.25)))})
    header = "step,val/cross_entropy_error,val/classification_error"
    (place / "1" / "measurements.csv").write_text(f"{header}\n10,1.5,0.25\n")
    curve = bring(tmp_path / "data", "batch-science").evaluations.iloc[0]
    assert curve["validation_accuracy"] == 0.75 and curve["validation_loss"] == 1.5 and curve["examples"] == 160
    assert math.isnan(curve["train_accuracy"]) and math.isnan(curve["epoch"])


def test_a_batch_at_which_no_trial_passes_is_censored_and_shown(tmp_path: Path) -> None:
    for batch, error in ((16, 0.2), (32, 0.2), (64, 0.5)):
        study(tmp_path / "data", batch, {1: ("COMPLETE", rows((800 // batch + 10, error)))})
    found = law(bring(tmp_path / "data", "batch-science"))
    assert found.law.censored == (64,) and len(found.points) == 3


def test_an_unknown_workload_needs_a_target(tmp_path: Path) -> None:
    study(tmp_path / "data", 16, {1: ("COMPLETE", rows((10, 0.25)))}, dataset="mine")
    with pytest.raises(RecordError, match="no target is known for resnet_8 on mine.*--target"):
        bring(tmp_path / "data", "batch-science")
    found = bring(tmp_path / "data", "batch-science", target="test/classification_error<=0.26")
    assert found.runs["steps_to_target"].tolist() == [10]
    with pytest.raises(RecordError, match="expected step and test/other"):
        bring(tmp_path / "data", "batch-science", target="test/other<1")


@pytest.mark.parametrize(("name", "text", "said"), [
    ("study.json", "{", "not whole JSON"), ("study.json", "[]", "no JSON object"),
    ("study.json", '{"batch_size": 0}', "batch_size=0"), ("1/metadata.json", '{"status": "DONE"}', "none of COMPLETE"),
    ("1/metadata.json", "[" * 100_000, "nested|not whole"), ("1/measurements.csv", "step\n1\n", "expected step and"),
    ("1/measurements.csv", "step,val/classification_error\nx,1\n", "row 1"),
    ("1/measurements.csv", "step,val/classification_error\n1,2,3\n", "row 1"),
    ("1/measurements.csv", 'step,val/classification_error\n1,"2\n', "no CSV")])
def test_a_damaged_study_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    place = study(tmp_path / "data", 16, {1: ("COMPLETE", rows((10, 0.25)))})
    (place / name).write_text(text)
    with pytest.raises(RecordError, match=said):
        bring(tmp_path / "data", "batch-science")
