"""When a run passes its target, between evaluations and beyond its end, and what an experiment's law depends on."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.synthetic_records import SGD, Curve, Study, change, results

from batchscale.analysis.study.arms import Arm, load_arm, load_arms
from batchscale.analysis.study.batch_gaps import chosen_metric
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.study.targets import fewest, MARGINS, steps_to_target, target_value

ONE_RULE = replace(SGD, curves={"constant": Curve()})
EXACT = Study(experiments=(ONE_RULE,), timing=None, memory=None, noise=0.0)


def constant(study: Study) -> Arm:
    found = load_arm(results(study), "sgd", "constant")
    assert found is not None
    return found


def test_a_run_passes_between_evaluations_where_its_curve_does() -> None:
    arm = constant(EXACT)
    table = steps_to_target([arm], 0.7).set_index(["seed", "global_batch"])
    assert (table["low"] == table["high"]).all() and len(table) == 24
    for (seed, batch), row in table.iterrows():
        # accuracy = 0.1 + (0.9 + shared - 0.1) (1 - exp(-epoch)), evaluated at the ends of 10 epochs.
        shared = np.random.default_rng(10_000 + seed).normal(0, 0.003)
        epoch = -math.log(1 - 0.6 / (0.8 + shared))
        assert row["high"] == pytest.approx(epoch * 4096 / batch, rel=0.02)


def test_runs_that_never_pass_are_kept_as_longer_than_they_ran() -> None:
    arm = constant(change(EXACT, "sgd", accuracy_gap={4096: 0.3}, diverged=(512,)))
    assert chosen_metric(arm) == "validation_accuracy"
    target = target_value(arm, 0.005)
    assert target == pytest.approx(0.89, abs=0.003)
    assert [target_value(arm, 0.005, margins) - target for margins in MARGINS] == pytest.approx([0, -0.01, -0.03])
    table = steps_to_target([arm], target)
    never = table[np.isinf(table["high"])]
    assert set(never["global_batch"]) == {512, 4096} and len(never) == 12
    # A run that diverged in its first steps was given all of its steps and did not pass in them.
    assert dict(zip(never["global_batch"], never["low"])) == {512: 80, 4096: 10}


def test_a_run_that_passes_at_its_first_evaluation_was_there_before() -> None:
    table = steps_to_target([constant(EXACT)], 0.11)
    first = table[table["global_batch"] == 4096]
    assert (first["low"] == 0).all() and (first["high"] == 1).all()


def test_the_rule_of_a_batch_is_the_same_for_all_its_seeds() -> None:
    rows = [("constant", 0, 64, 100.0), ("constant", 1, 64, 130.0), ("linear", 0, 64, 90.0), ("linear", 1, 64, 160.0),
            ("constant", 0, 128, 90.0), ("constant", 1, 128, math.inf), ("linear", 0, 128, 95.0),
            ("linear", 1, 128, 96.0)]
    table = pd.DataFrame(rows, columns=["rule", "seed", "global_batch", "high"])
    table = table.assign(low=table["high"].where(np.isfinite(table["high"]), 90.0))
    found = fewest(table)
    assert found[["rule", "global_batch"]].drop_duplicates().to_numpy().tolist() == [["constant", 64], ["linear", 128]]
    assert len(found) == 4


def test_every_target_and_rule_is_stated_and_that_the_interval_leaves_their_choice_out() -> None:
    two = replace(SGD, curves={"constant": Curve(), "linear": Curve(speed={4096: 0.5})})
    study = replace(EXACT, experiments=(two,), noise=0.001)
    found, = Found(results(study)).critical
    assert [law.margins for law in found.by_target] == list(MARGINS)
    assert [law.rule for law in found.by_rule] == ["constant", "linear"]
    assert {law.target for law in found.by_rule} == {found.target}
    assert any("does not include their choice" in text and "under linear alone" in text for text in found.statements)
    written = found.to_json()
    assert len(written["by_target"]) == 3 and len(written["by_rule"]) == 2
    assert written["by_rule"][1]["never_passed"] == len(found.by_rule[1].law.censored)
    assert load_arms(results(study))[0].rule == "constant"
