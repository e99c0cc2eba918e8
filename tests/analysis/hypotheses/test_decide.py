"""Ten claims on studies whose truth is known: each one true, false and undecidable."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from batchscale.analysis.hypotheses.decide import decide
from batchscale.analysis.hypotheses.verdict import CLAIMS, Contrast, judge, Verdict
from batchscale.analysis.study.arms import load_arms
from batchscale.analysis.study.example_sampling import CROSS_FITTED
from batchscale.analysis.tables.reading import from_records
from batchscale.benchmarks.schedules.rules import TUNED_RULE
from support.synthetic_records import (ADAM, DEEP, SGD, Curve, Memory, Study, Timing, change, manifest, records,
                                       results)

# The deeper model at the batches of the other one, as a comparison of the two needs.
ALIKE = replace(DEEP, batches=(32, 128, 512))
ONE_RULE = tuple(replace(e, curves={"constant": Curve()}) for e in (SGD, ADAM, ALIKE))
TIMED = Timing(replica_batches=(32, 128, 512, 2048, 8192))
SAME = Study(ONE_RULE, timing=TIMED, train_examples=48_000)
NOISY = Study(ONE_RULE, noise=0.02)
FEW = Study(ONE_RULE, timing=None, memory=None)
LONG = replace(FEW, train_examples=48_000)
RULES = replace(FEW, experiments=(SGD,))
# Of the batch of 2,048, beside 128 at its end and after its 230 steps: 2.175 and 1.34.
STAGNANT = {2048: 1.4}
decided: dict[str, list[Verdict]] = {}


def verdict(number: int, study: Study) -> Verdict:
    if repr(study) not in decided:
        decided[repr(study)] = decide(results(study))
    assert [v.number for v in decided[repr(study)]] == list(range(1, 11))
    return decided[repr(study)][number - 1]


CASES: dict[str, tuple[int, Study, str]] = {
    "1 true": (1, SAME, "supported"),
    "1 false": (1, replace(FEW, covariance_slope=0.5), "contradicted"),
    "1 undecidable": (1, replace(FEW, covariance_slope=0.0, norm_noise=1.0, epochs=2), "not decided"),
    "2 true": (2, LONG, "supported"),
    "2 false": (2, change(LONG, "sgd", speed={512: 0.03}), "contradicted"),
    "2 undecidable": (2, replace(change(LONG, "sgd", speed={512: 1 / 16}), noise=0.02), "not decided"),
    "3 true": (3, change(FEW, "sgd", accuracy_gap={512: 0.05}, loss_gap={512: 0.2}), "supported"),
    "3 false": (3, FEW, "contradicted"),
    "3 better": (3, change(FEW, "sgd", accuracy_gap={512: -0.05}), "contradicted"),
    "3 undecidable": (3, NOISY, "not decided"),
    "4 true": (4, change(FEW, "sgd", accuracy_gap={512: 0.05}), "supported"),
    "4 false": (4, change(FEW, "adam", accuracy_gap={512: 0.05}), "contradicted"),
    "4 undecidable": (4, NOISY, "not decided"),
    "5 true": (5, change(LONG, "adam", loss_gap=STAGNANT), "supported"),
    "5 false": (5, change(LONG, "adam", speed={2048: 0.02}), "contradicted"),
    "5 undecidable": (5, replace(LONG, noise=0.02), "not decided"),
    "6 true": (6, change(FEW, "sgd", generalization={512: 0.05}), "supported"),
    "6 false": (6, FEW, "contradicted"),
    "6 undecidable": (6, NOISY, "not decided"),
    "7 true": (7, change(FEW, "sgd", generalization={512: 0.03, 4096: 0.09}), "supported"),
    "7 false": (7, change(FEW, "sgd", generalization={128: 0.05, 512: 0.05, 4096: 0.05}),
                "contradicted"),
    "7 undecidable": (7, replace(FEW, noise=0.05), "not decided"),
    "8 true": (8, SAME, "supported"),
    "8 false": (8, replace(SAME, memory=Memory(5e8, -20_000.0)), "contradicted"),
    "8 undecidable": (8, replace(SAME, memory=Memory(5e8, noise=5e7)), "not decided"),
    "9 true": (9, SAME, "supported"),
    "9 false": (9, replace(SAME, timing=replace(TIMED, fixed_seconds=1e-6, seconds_per_example=1e-4)),
                "contradicted"),
    "9 undecidable": (9, replace(SAME, timing=Timing(1e-1, replica_batches=(8, 16, 32))),
                      "not decided"),
    "10 true": (10, change(FEW, "deep_adam", accuracy_gap={512: 0.05}), "supported"),
    "10 false": (10, change(FEW, "adam", accuracy_gap={512: 0.05}), "contradicted"),
    "10 undecidable": (10, NOISY, "not decided"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_claim_follows_the_truth(case: str) -> None:
    number, study, expected = CASES[case]
    found = verdict(number, study)
    assert found.verdict == expected, found.reason
    assert found.claim == CLAIMS[number] and found.reason
    assert found.estimate.n > 0
    assert expected == "not decided" or found.estimate.low < found.estimate.high


def test_the_estimate_is_the_truth_within_its_interval() -> None:
    study = change(FEW, "sgd", "constant", accuracy_gap={128: 0.01, 512: 0.05},
                   loss_gap={512: 0.2})
    found = verdict(3, study)
    assert found.estimate.low < 0.05 < found.estimate.high and found.estimate.n == 6
    assert (found.rule, found.budget, found.experiment) == ("constant", "equal epochs", "sgd")
    by_batch = {d.global_batch: d for d in found.per_batch if "accuracy" in d.quantity}
    assert by_batch[128].estimate.low < 0.01 < by_batch[128].estimate.high
    assert by_batch[4096].answer == "contradicted" and "same within 0.5 points" in by_batch[4096].note
    assert found.per_batch[0].global_batch == 512 and found.tested.startswith("At equal epochs two things")


def test_scaling_the_rate_turns_the_answer_round_and_says_so() -> None:
    study = change(RULES, "sgd", "constant", accuracy_gap={512: 0.05}, loss_gap={512: 0.2})
    found = verdict(3, study)
    assert found.verdict == "supported" and set(found.turned_round) == {"linear", "sqrt"}
    assert "The rate turns the answer round: under the linear and sqrt rule" in found.reason
    assert "At untuned rates." in found.reason
    own = [v for v in found.others if v.experiment == "sgd"]
    assert {(v.rule, v.verdict) for v in own} == {("linear", "contradicted"),
                                                  ("sqrt", "contradicted")}


def test_a_batch_that_fits_worse_but_predicts_no_worse_is_not_a_worse_end() -> None:
    found = verdict(3, change(FEW, "sgd", loss_gap={512: 0.2}))
    assert found.verdict == "contradicted" and "fits worse, but predicts no worse" in found.reason


def test_underfitting_does_not_pass_for_generalizing() -> None:
    study = change(FEW, "sgd", generalization={4096: 0.05}, loss_gap={4096: 1.5})
    found = verdict(6, study)
    assert "4,096: the train loss stays above half of the first one" in found.reason
    assert 4096 not in {d.global_batch for d in found.per_batch}
    at_end = next(v for v in found.others if v.budget == "equal epochs"
                  and (v.experiment, v.rule) == ("sgd", "constant"))
    assert 4096 in {d.global_batch for d in at_end.per_batch}


def test_a_diverged_batch_stands_apart() -> None:
    study = change(RULES, "sgd", "linear", diverged=(4096,))
    linear = next(v for v in verdict(3, study).others
                  if (v.experiment, v.rule) == ("sgd", "linear"))
    assert "Apart, not compared: batch 4,096 (6 of 6 runs diverged)" in linear.reason
    assert {d.global_batch for d in linear.per_batch} == {128, 512}


def test_holm_makes_one_of_many_batches_harder_to_decide() -> None:
    values = np.array([0.006, 0.008, 0.012, 0.014, 0.009, 0.007])
    beside = np.array([0.004, 0.006, 0.005, 0.007, 0.003, 0.005])
    asked = [Contrast("gap", batch, given) for batch, given in
             ((4096, values), (512, beside), (128, beside + 0.001))]
    alone, among = judge(asked[:1], 0.005, 0.005)[0], judge(asked, 0.005, 0.005)[0]
    # One-sided beyond the margin, doubled; three batches multiply the smallest p by three.
    t = (values.mean() - 0.005) / (values.std(ddof=1) / math.sqrt(6))
    assert alone.p_value == pytest.approx(2 * stats.t.sf(t, 5))
    assert among.p_value == pytest.approx(3 * alone.p_value)
    assert (alone.answer, among.answer) == ("supported", "not decided")


def test_claims_without_data_say_what_to_measure() -> None:
    found = decide(from_records([], {"runs": []}))
    assert [v.verdict for v in found] == ["not decided"] * 10
    for one in found:
        assert math.isnan(one.estimate.value) and one.estimate.n == 0
        assert any(word in one.reason for word in ("Measure", "Train", "Give")), one.reason


def _single_seed() -> Study:
    return replace(SAME, seeds=1)


def _all_diverged() -> Study:
    return change(change(change(SAME, "sgd", diverged=SGD.batches), "adam",
                         diverged=ADAM.batches), "deep_adam", diverged=ALIKE.batches)


def _single_batch() -> Study:
    return replace(FEW, experiments=tuple(replace(e, batches=(32,)) for e in (SGD, ADAM, ALIKE)))


@pytest.mark.parametrize("study", [_single_seed, _all_diverged, _single_batch])
def test_hostile_studies_decide_nothing_about_accuracy(study: Callable[[], Study]) -> None:
    found = decide(results(study()))
    for number in (2, 3, 4, 5, 6, 7, 10):
        assert found[number - 1].verdict == "not decided", found[number - 1].reason
        assert not found[number - 1].estimate.has_interval
        assert found[number - 1].reason


def test_nan_throughout_is_no_figure() -> None:
    made = records(SAME)
    for record in made:
        for row in [*record["evaluations"], *record["gradient_norms"]]:
            for name, value in row.items():
                if isinstance(value, float) and name not in ("epoch", "train_seconds"):
                    row[name] = None
        record["windows"] = []
        record["memory"] = dict.fromkeys(record["memory"])
    found = decide(from_records(made, manifest(SAME, made)))
    assert {v.verdict for v in found} == {"not decided"}
    assert all(math.isnan(v.estimate.value) for v in found)


def test_missing_metrics_and_other_versions_leave_the_rest_standing() -> None:
    made = records(change(FEW, "sgd", accuracy_gap={512: 0.05}, loss_gap={512: 0.2}))
    for index, record in enumerate(made):
        record["schema_version"] = 1 + index % 2
        for row in record["evaluations"]:
            row.pop("validation_accuracy")
    found = decide(from_records(made, manifest(FEW, made)))
    assert found[2].verdict == "supported"


def test_a_verdict_is_json_without_nan() -> None:
    import json
    for one in decide(results(replace(SAME, seeds=2))):
        text = json.dumps(one.to_json(), allow_nan=False)
        assert json.loads(text)["claim"] == one.claim


def test_claims_at_tuned_rates_pay_for_the_choice_of_the_rates() -> None:
    study = results(LONG)
    arms = load_arms(study)
    plain, tuned = (decide(study, own) for own in (arms, [replace(arm, rule=TUNED_RULE) for arm in arms]))
    judged = [(one, other) for number in (2, 3, 4, 5, 6, 7, 10)
              for one, other in zip(plain[number - 1].per_batch, tuned[number - 1].per_batch)]
    assert {number for number in (2, 3, 4, 5, 6, 7, 10) if plain[number - 1].per_batch} >= {2, 3, 4, 5, 6, 10}
    for one, other in judged:
        assert other.estimate.high - other.estimate.low == pytest.approx(
            math.sqrt(CROSS_FITTED) * (one.estimate.high - one.estimate.low)), one.quantity
