"""Which runs belong to an arm: tables, arms, panels and options give one answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from batchscale.analysis.decision.options import options
from batchscale.analysis.hypotheses.resources import noisier_gradients
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.report.sections.accuracy import gradient
from batchscale.analysis.report.sections.decision import critical
from batchscale.analysis.study.arm_runs import arm_runs, experiment_arm, main_placement, reference_norms
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.tables.reading import from_records
from batchscale.analysis.tables.results import Results, experiments, rules
from batchscale.benchmarks.schedules.rules import RULES
from support.synthetic_records import SGD, Study, change, records, results

SMALL = Study(experiments=(SGD,), timing=None, memory=None, seeds=2)


def table(rows: list[tuple[str, int, int]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["rule", "global_batch", "seed"])
    return frame.assign(reference_batch=32, placement="single-1r", name=[f"r{i}" for i in range(len(rows))])


def beside(place: dict[str, Any], batches: tuple[int, ...] = (32,), study: Study = SMALL) -> Results:
    """The study, and its runs at some batches once more in another placement."""
    made = records(study)
    twins = [{**one, "run_id": f"twin-{one['run_id']}", "config": {**one["config"], **place}} for one in made
             if one["config"]["global_batch"] in batches]
    return from_records([*made, *twins], {"runs": []})


MIRRORED = {"strategy": "mirrored", "replicas": 2}


def test_the_reference_run_stands_for_every_rule() -> None:
    found = results(SMALL)
    assert experiments(found) == ("sgd",)
    assert rules(found, "sgd") == ("constant", "linear", "sqrt")
    for rule in rules(found, "sgd"):
        runs, evaluations = experiment_arm(found, "sgd", rule)
        assert sorted(runs["global_batch"]) == [32, 32, 128, 128, 512, 512, 4096, 4096]
        assert set(runs["rule"]) == {rule} and set(evaluations["run_id"]) == set(runs["run_id"])


@pytest.mark.parametrize("rule", RULES)
def test_only_rules_without_a_reference_of_their_own_take_the_constant_one(rule: str) -> None:
    found = arm_runs(table([("constant", 32, 0), (rule, 64, 0), ("constant", 64, 0)]), rule)
    own = [] if RULES[rule].own_reference else ["r0"]
    assert list(found["name"]) == [*own, "r1"] and set(found["rule"]) == {rule}


def test_an_arm_has_one_run_for_each_batch_and_seed_and_its_own_before_a_shared_one() -> None:
    found = arm_runs(table([("constant", 32, 0), ("linear", 32, 0), ("constant", 32, 1), ("linear", 64, 0),
                            ("linear", 64, 0)]), "linear")
    assert list(found["name"]) == ["r1", "r2", "r3"]


def test_another_placement_never_joins_an_arm_silently() -> None:
    found = beside(MIRRORED)
    runs, evaluations = experiment_arm(found, "sgd", "constant")
    assert not any(name.startswith("twin") for name in (*runs["run_id"], *evaluations["run_id"]))
    both = found.accuracy["sgd"][0]
    assert main_placement(both) == "single-1r" and main_placement(both[:0]) == ""
    assert experiment_arm(found, "none", "constant")[0].empty
    assert experiment_arm(from_records([], {"runs": ["a"]}), "sgd", "constant")[0].empty


@pytest.mark.parametrize("study", [
    SMALL, change(SMALL, "sgd", diverged=(512,)), replace(SMALL, experiments=(replace(SGD, as_published=True),))])
def test_panels_and_arms_have_the_same_runs(study: Study) -> None:
    found = Found(results(study))
    work, = found.workloads
    assert {arm.rule for arm in found.arms} == set(work.rules) - {"as_published"}
    for arm in found.arms:
        for batch in work.batches:
            own = arm.runs.loc[arm.runs["global_batch"] == batch, "run_id"]
            assert list(work.arm(arm.rule, batch)["run_id"]) == list(own)
    assert {(rule, batch) for rule, batch, _ in work.arms} >= {(arm.rule, 32) for arm in found.arms}


def test_where_the_reference_batch_was_lost_every_rule_is_an_option_of_its_own() -> None:
    # Batch 128 is then what the others are held against, and it has a rate of its own under each rule.
    found = Found(results(change(SMALL, "sgd", diverged=(32,))))
    listed = options(found.arms, found.results)
    assert found.arms[0].reference_batch == 128 and not found.arms[0].shares(128)
    assert {one.rule for one in listed if one.global_batch == 128} == {"constant", "linear", "sqrt"}
    whole = Found(results(SMALL))
    assert {one.rule for one in options(whole.arms, whole.results) if one.global_batch == 32} == {"constant"}


def probed_and_lost() -> Results:
    """Six seeds with gradient norms, of which the last ended early and has noise a thousand times as large."""
    study = Study(experiments=(SGD,), timing=None, memory=None, seeds=6)
    made = records(study)
    lost = max((one for one in made if one["gradient_norms"]), key=lambda one: int(one["config"]["seed"]))
    wild = {**lost, "status": "diverged", "gradient_norms": [
        {**row, "mean_norm_squared": 1000 * row["mean_norm_squared"]} for row in lost["gradient_norms"]]}
    return from_records([wild if one is lost else one for one in made], {"runs": []})


def test_gradient_noise_is_that_of_completed_runs_wherever_it_is_asked_for() -> None:
    found = probed_and_lost()
    study = Found(found)
    assert found.gradient_norms["seed"].nunique() == 6
    assert set(reference_norms(found, "sgd")["status"]) == {"completed"}
    five = results(Study(experiments=(SGD,), timing=None, memory=None, seeds=5))
    noise = study.critical[0].noise
    assert noise is not None and noise.average.n == 5
    assert noise.to_json() == Found(five).critical[0].noise.to_json()  # type: ignore[union-attr]
    section = gradient.build(Findings(study))
    assert section is not None and [row[2].endswith("n = 5)") for row in section.tables[0].rows] == [True]
    assert noisier_gradients(found)[0].estimate.n == 5


def test_gradient_noise_is_that_of_one_placement() -> None:
    found = beside(MIRRORED)
    alone = results(SMALL)
    both = [Found(each).critical[0].noise for each in (found, alone)]
    assert both[0] == both[1] and both[0] is not None
    assert len(reference_norms(found, "sgd", "mirrored-2r")) == len(reference_norms(found, "sgd"))


def test_the_steps_to_the_target_are_drawn_for_the_placement_they_were_taken_on() -> None:
    made = Findings.of(beside(MIRRORED, (32, 128)))
    assert len(made.panels) == 2
    section = critical.build(made)
    assert section is not None and section.figures
    assert all(", single-1r." in figure.caption for figure in section.figures), [f.caption for f in section.figures]
