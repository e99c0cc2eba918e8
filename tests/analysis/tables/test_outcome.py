"""A study without accuracies is judged by its loss, as one with accuracies would be: mirrored, it ends the same.

The mirror: each accuracy a of a synthetic study is replaced by the loss 1 - a, so that every difference of accuracies
is the same difference of losses with the other sign.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.synthetic_records import ADAM, SGD, Curve, Study, Tuning, manifest, records, write_store

from batchscale.analysis.comparison.compare import compare
from batchscale.analysis.comparison.sides import results_side
from batchscale.analysis.decision.decision import decide_of
from batchscale.analysis.hypotheses.decide import decide
from batchscale.analysis.report import page as report
from batchscale.analysis.report.sections.decision.claims import judged
from batchscale.analysis.study.arms import GAP, load_arms, published_artefact
from batchscale.analysis.study.batch_gaps import gap_table
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.study.targets import steps_to_target
from batchscale.analysis.tables.outcome import ACCURACY, LOSS, kind_of
from batchscale.analysis.tables.reading import from_records, read
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.planning import plan
from batchscale.benchmarks.runs.run_config import from_json

GAPS = Curve(accuracy_gap={128: 0.001, 512: 0.02, 4096: 0.06}, loss_gap={512: 0.1, 4096: 0.3},
             generalization={512: 0.01, 4096: 0.03})
SMALL = replace(SGD, curves={"constant": GAPS, "sqrt": Curve()})
STUDY = Study(experiments=(SMALL,), timing=None, memory=None, noise=0.0005)
TUNED = replace(STUDY, experiments=(replace(SMALL, batches=(32, 128, 512), noise_batches=(), curves={"constant": GAPS},
                                            tuning=Tuning(best={32: 1.0, 128: 0.4, 512: 2.0})),))


def mirrored(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = json.loads(json.dumps(made))
    for record in found:
        if record["config"]["kind"] == "accuracy":
            record["config"] |= {"loss": "mean_squared_error", "metrics": []}
            record["run_id"] = from_json(record["config"]).run_id
        for row in record["evaluations"]:
            for part in ("train", "validation", "test"):
                value = row.pop(f"{part}_accuracy")
                row[f"{part}_loss"] = None if row[f"{part}_loss"] is None else 1 - value
    return list(found)


def two(study: Study) -> tuple[Results, Results]:
    """The study by accuracy, and its mirror by loss, whose relative margin is made the same absolute one."""
    made = records(study)
    plain = from_records(made, manifest(study, made))
    runs = plain.runs[(plain.runs["kind"] == "accuracy") & (plain.runs["global_batch"] == 32)]
    given = manifest(study, made)
    given["settings"]["loss_margin"] = study.margin / float((1 - runs["validation_accuracy"]).mean())
    return plain, from_records(mirrored(made), given)


@pytest.fixture(scope="module")
def both() -> tuple[Results, Results]:
    return two(STUDY)


def test_an_experiment_is_judged_by_accuracy_where_it_has_one(both: tuple[Results, Results]) -> None:
    plain, mirror = (results.outcomes["sgd"] for results in both)
    assert (plain.name, plain.margin, plain.test) == ("accuracy", STUDY.margin, "test_accuracy")
    assert (mirror.name, mirror.test, mirror.sign) == ("loss", "test_loss", -1)
    assert mirror.margin == pytest.approx(STUDY.margin, rel=1e-9)
    nothing = both[0].runs.assign(test_accuracy=math.nan, test_loss=math.nan)
    assert kind_of(nothing) is ACCURACY and kind_of(both[1].runs) is LOSS


def test_the_margin_of_a_loss_is_a_share_of_the_reference_batch_s() -> None:
    made = mirrored(records(STUDY))
    found = from_records(made, manifest(STUDY, made))
    at_reference = found.runs[(found.runs["kind"] == "accuracy") & (found.runs["global_batch"] == 32)]
    assert found.outcomes["sgd"].margin == pytest.approx(0.02 * at_reference["validation_loss"].mean(), rel=1e-9)
    assert found.margin == STUDY.margin


def test_gaps_in_the_loss_are_those_in_the_accuracy(both: tuple[Results, Results]) -> None:
    for plain, mirror in zip(*(load_arms(results) for results in both), strict=True):
        pairs = list(zip(gap_table(plain, STUDY.margin), gap_table(mirror, mirror.outcome.margin), strict=True))
        assert len(pairs) == 3
        for one, other in pairs:
            assert other.metric == "test_loss"
            assert other.estimate.value == pytest.approx(one.estimate.value, abs=1e-12)
            # The error of an accuracy also holds what a finite number of examples adds.
            assert other.estimate.low == pytest.approx(one.estimate.low, abs=1e-3)
            assert other.same == one.same
        assert np.allclose(plain.at_end(GAP), mirror.at_end(GAP))


def test_the_decision_is_the_same(both: tuple[Results, Results]) -> None:
    plain, mirror = (decide_of(Found(results)) for results in both)
    for one, other in zip(plain.options, mirror.options, strict=True):
        assert (one.global_batch, one.rule, one.not_worse, one.pareto) == \
            (other.global_batch, other.rule, other.not_worse, other.pareto)
        assert other.test.value == pytest.approx(1 - one.test.value) and "test_loss" in other.to_json()
    chosen, expected = mirror.recommendations[0].option, plain.recommendations[0].option
    assert chosen is not None and expected is not None
    assert (chosen.global_batch, chosen.rule) == (expected.global_batch, expected.rule) == (4096, "sqrt")
    json.dumps(mirror.to_json(), allow_nan=False)


def test_sentences_speak_of_the_loss_and_never_of_points(both: tuple[Results, Results]) -> None:
    found = decide_of(Found(both[1]))
    text = " ".join((*found.headlines, *found.answers))
    assert "points" not in text and "accuracy" not in text and " %." not in text
    lost = re.search(r"adds (0\.0\d+) \(.*?n = \d+ seeds\) of test loss at the constant rate", found.headlines[0])
    assert lost and float(lost.group(1)) == pytest.approx(GAPS.accuracy_gap[4096], abs=0.002)
    said = re.search(r"test loss at batch 32 is (0\.\d+) ", found.answers[0])
    assert said and float(said.group(1)) == pytest.approx(0.1, abs=0.002)
    assert any("test loss added" in table.header[3] for table in found.overview)


def test_a_target_is_two_margins_worse_and_reached_from_above(both: tuple[Results, Results]) -> None:
    (plain,), (mirror,) = (Found(results).critical for results in both)
    assert mirror.target == pytest.approx(1 - plain.target)
    steps = [steps_to_target(load_arms(results), one.target) for results, one in zip(both, (plain, mirror))]
    pd.testing.assert_frame_equal(*steps)
    assert 0 < np.isinf(steps[0]["high"]).sum() < len(steps[0])
    assert set(mirror.to_json()) == {*plain.to_json(), "target_loss"} - {"target_accuracy"}


def test_trials_are_chosen_by_the_lowest_validation_loss() -> None:
    plain, mirror = two(TUNED)
    rates = [[(one.global_batch, one.chosen.learning_rate) for one in found.tuned] for found in (plain, mirror)]
    assert rates[0] == rates[1] and len(rates[0]) == 3
    assert len({rate / math.sqrt(batch) for batch, rate in rates[0]}) > 1
    first = mirror.tuned[0].to_json()
    assert first["chosen"]["validation_loss"]["value"] == min(t["validation_loss"]["value"] for t in first["trials"])


def test_claims_are_judged_in_the_loss_and_written_without_points(both: tuple[Results, Results]) -> None:
    plain, mirror = map(decide, both)
    ends_worse, expected = mirror[2], plain[2]
    assert ends_worse.quantity.startswith("test loss added") and ends_worse.estimate.value == pytest.approx(
        expected.estimate.value)
    assert "generalization gap in loss" in mirror[5].quantity
    rows = {row[0]: row for row in judged(mirror).tables[0].rows}
    assert all("points" not in rows[number][3] for number in ("3", "6", "7"))


def test_the_published_comparison_is_made_in_the_loss(both: tuple[Results, Results]) -> None:
    plain, mirror = (published_artefact(results, "sgd") for results in both)
    assert len(plain) == len(mirror)
    if len(plain):
        assert np.allclose(1 - plain["kept_end"], mirror["kept_end"])


def test_experiments_by_accuracy_and_by_loss_stand_in_one_report(tmp_path: Path) -> None:
    study = replace(STUDY, experiments=(SMALL, replace(ADAM, curves={"constant": GAPS}, name="by_loss")))
    made = records(study)
    mixed = [record for record in made if record["config"]["experiment"] != "by_loss"]
    mixed += mirrored([record for record in made if record["config"]["experiment"] == "by_loss"])
    for record in mixed:
        if record["config"]["experiment"] == "by_loss":
            record["evaluations"][-1]["metrics"] = {"train_absolute": 0.25, "test_absolute": 0.5}
    store = write_store(tmp_path / "mixed", mixed)
    folder = report.write(store, tmp_path / "report")
    page = (folder / "report.md").read_text()
    assert "Accuracy and loss against batch" in page and "The other metrics of the plan" in page
    assert "| absolute | 0.500" in page
    figures = {path.name for path in folder.glob("figures/*.svg")}
    assert {"w0-accuracy.svg", "w1-loss.svg", "w1-batchgap.svg"} <= figures
    found = read(store)
    assert [found.outcomes[name].name for name in ("sgd", "by_loss")] == ["accuracy", "loss"]
    assert not [v for v in decide(found)[3].others if "by_loss" in (v.experiment, v.rule)], "not held against another"


def test_a_study_by_loss_is_reported_from_beginning_to_end(tmp_path: Path) -> None:
    made = mirrored(records(TUNED))
    store = write_store(tmp_path / "loss", made)
    folder = report.write(store, tmp_path / "report")
    page = (folder / "report.md").read_text()
    assert "Loss against batch" in page and "validation loss against the learning rate" in page
    assert "percentage points count" not in page and "nan" not in page.split()
    open_plan = folder / "next_plan.toml"
    if open_plan.exists():
        assert {e["loss"] for e in plan.read(str(open_plan)).experiments} == {"mean_squared_error"}


def test_two_result_sets_by_loss_are_compared_in_the_loss() -> None:
    made = mirrored(records(STUDY))
    worse = json.loads(json.dumps(made))
    for record in worse:
        for row in record["evaluations"]:
            row["test_loss"] *= 1.5
    sides = [results_side(name, from_records(own, manifest(STUDY, own)),
                          {r["run_id"]: r["config"] for r in own}) for name, own in (("a", made), ("b", worse))]
    same, changed = compare(sides[0], sides[0]), compare(sides[0], sides[1])
    assert {change.answer for change in same.changes if change.metric == "test_loss"} == {"no change"}
    assert {change.answer for change in changed.changes if change.metric == "test_loss"} == {"regression"}
