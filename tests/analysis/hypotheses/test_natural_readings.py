"""Studies whose truth is plain to a reader, and the verdict that a reader would give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchscale.analysis.hypotheses.decide import decide
from batchscale.analysis.hypotheses.verdict import TESTED, among, Verdict
from batchscale.analysis.study.arms import load_arms
from support.synthetic_records import ADAM, DEEP, SGD, Curve, Study, Timing, change, results

ONE_RULE = tuple(replace(each, curves={"constant": Curve()}) for each in (SGD, ADAM))
STUDY = Study(ONE_RULE, timing=None, memory=None, train_examples=48_000)
NEAR_ALL = replace(STUDY, train_examples=4096)


def verdict(number: int, study: Study) -> Verdict:
    return decide(results(study))[number - 1]


def test_1_a_noise_that_falls_more_slowly_than_expected_still_falls() -> None:
    found = verdict(1, replace(STUDY, covariance_slope=-0.7))
    assert found.verdict == "supported" and found.estimate.high < 0
    assert "which -0.70 is not within -1.2 to -0.8: the probe's groups are not independent" in found.reason


def test_2_faster_by_the_step_and_slower_by_the_example_is_faster_at_first() -> None:
    found = verdict(2, change(STUDY, "sgd", speed={512: 0.5}))
    at = {detail.quantity.split(",")[0]: detail.answer for detail in found.per_batch if detail.global_batch == 512}
    assert found.verdict == "supported"
    # A batch of 512 does 3.4 times as many examples in a second, so by the clock it is faster as well.
    assert at == {"loss saved at equal steps": "supported", "loss saved at equal examples": "contradicted",
                  "loss saved at equal seconds": "supported"}
    assert "Beside it, loss saved at equal examples" in found.reason


def test_2_one_update_of_the_whole_training_set_says_nothing_of_convergence() -> None:
    whole = replace(STUDY, experiments=(replace(ONE_RULE[0], batches=(32, 48_000)),))
    found = verdict(2, whole)
    assert found.verdict == "not decided" and not found.estimate.has_interval
    assert found.reason.startswith("Batch 48,000: a tenth of training is fewer than 10 steps")


def test_3_the_largest_published_batch_decides_and_larger_ones_stand_beside() -> None:
    found = verdict(3, change(STUDY, "sgd", accuracy_gap={4096: 0.5}, loss_gap={4096: 1.0}))
    assert found.verdict == "contradicted" and found.per_batch[0].global_batch == 512
    assert {d.answer for d in found.per_batch if d.global_batch == 4096} == {"supported"}


def test_5_a_batch_that_drops_slower_and_ends_flat_and_higher_does_not_drop_fast() -> None:
    # After a tenth of its 230 steps it is at 2.27, where batch 128 is at 2.17 after as many.
    found = verdict(5, change(STUDY, "adam", loss_gap={2048: 2.05}))
    assert found.verdict == "contradicted", found.reason
    answers = {detail.quantity.split(",")[0]: detail.answer for detail in found.per_batch}
    assert answers["train loss added at equal epochs"] == "supported"
    assert answers["train loss saved at equal steps"] == "contradicted"


def test_5_a_batch_that_still_falls_was_trained_too_short_to_tell() -> None:
    found = verdict(5, change(STUDY, "adam", loss_gap={2048: 0.3}, tail={2048: 0.6}))
    assert found.verdict == "not decided", found.reason
    assert "It was still falling when training ended: train longer." in found.reason


def test_5_a_batch_that_is_higher_at_equal_epochs_alone_did_not_stagnate_for_that() -> None:
    found = verdict(5, change(STUDY, "adam", loss_gap={2048: 0.3}))
    assert found.verdict == "not decided", found.reason
    assert "After as many steps the middle batch was no lower" in found.reason


def test_7_batches_that_learn_nothing_decide_nothing() -> None:
    # At equal epochs the untrained batch shows no gap at all; the truth is three points more near N.
    study = change(NEAR_ALL, "sgd", generalization={4096: 0.03}, loss_gap={4096: 2.0}, speed={4096: 0.01})
    arms = [arm for arm in load_arms(results(study)) if arm.experiment == "sgd"]
    found = decide(results(study), arms)[6]
    assert found.verdict == "not decided" and not found.estimate.has_interval, found.reason
    beside = [other for other in found.others if other.experiment == "sgd"]
    assert {other.budget.split(",")[0] for other in beside} == {"equal epochs"} and all(o.beside for o in beside)


@pytest.mark.parametrize("seed", range(6))
def test_7_the_margin_is_one_of_the_gap_and_not_of_each_doubling(seed: int) -> None:
    study = replace(change(NEAR_ALL, "sgd", generalization={4096: 0.014, 512: 0.0}), noise=0.003, seed=seed)
    found = verdict(7, study)
    assert found.verdict != "contradicted", found.reason
    assert "added from batch 128 to 4,096" in found.quantity


def test_9_growth_that_ends_is_growth_until_a_limit_wherever_half_the_peak_lies() -> None:
    # Elasticities of 0.2 and 0.03, and half of the peak below the smallest batch.
    timing = Timing(fixed_seconds=2.5e-4, replica_batches=(32, 512, 4096), noise=0.003)
    found = verdict(9, replace(STUDY, timing=timing))
    assert found.verdict == "supported", found.reason
    assert [detail.answer for detail in found.per_batch] == ["supported", "supported"]
    assert "half of the peak is reached at batch 2" in found.reason
    grows = verdict(9, replace(STUDY, timing=replace(timing, fixed_seconds=0.1)))
    assert grows.verdict == "not decided" and "it still grows" in grows.reason


def test_10_two_models_are_compared_at_the_batches_of_both_and_never_between() -> None:
    deep = replace(DEEP, curves={"constant": Curve()})
    apart = verdict(10, replace(STUDY, experiments=(ONE_RULE[1], deep)))
    assert apart.verdict == "not decided" and "share no batch beside the reference" in apart.reason
    alike = replace(STUDY, experiments=(ONE_RULE[1], replace(deep, batches=(32, 512))))
    found = verdict(10, change(alike, "deep_adam", accuracy_gap={512: 0.03}))
    assert found.verdict == "supported" and "depth and width are not told apart" in found.reason


def test_the_words_of_what_is_tested_stand_in_every_verdict() -> None:
    for one in decide(results(STUDY)):
        assert one.to_json()["tested"] == one.tested == TESTED[one.number]


def test_claims_share_one_error_rate() -> None:
    base = verdict(3, STUDY)
    weak = [replace(base, verdict="supported", supports=p, contradicts=1.0) for p in (0.011, 0.03, 0.2, 0.4, 0.6)]
    found = among(weak[:1]) + among(weak)[:2]
    assert [each.verdict for each in found] == ["supported", "not decided", "not decided"]
    assert "not among the 5 claims judged on these runs" in found[1].reason
