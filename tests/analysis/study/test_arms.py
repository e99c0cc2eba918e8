"""Arms, gaps and what follows from them, on curves whose formula is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from batchscale.analysis.decision.sentences import published
from batchscale.analysis.study.arms import load_arm, load_arms, pairs, published_artefact
from batchscale.analysis.study.batch_gaps import EQUAL_EPOCHS, EQUAL_LOSS, EQUAL_STEPS, gap_table
from batchscale.analysis.study.critical import NOISE, STEPS
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.study.non_inferiority import against_own_reference
from batchscale.analysis.tables.results import Results
from support.synthetic_records import SGD, Curve, Study, change, results

ONE_RULE = replace(SGD, curves={"constant": Curve()})
EXACT = Study(experiments=(ONE_RULE,), timing=None, memory=None, noise=0.0)
STUDY = replace(EXACT, noise=0.001)
TRUE = {128: 0.0, 512: 0.01, 4096: 0.05}


def constant(table: Results):  # type: ignore[no-untyped-def]
    found = load_arm(table, "sgd", "constant")
    assert found is not None
    return found


def test_gaps_at_equal_epochs_are_paired_by_seed() -> None:
    arm = constant(results(change(STUDY, "sgd", accuracy_gap=TRUE)))
    for gap in gap_table(arm, 0.005):
        truth = TRUE[gap.global_batch]
        assert gap.estimate.low < truth < gap.estimate.high and gap.estimate.n == 6
        # The seeds' own offsets (0.003) are three times the noise; pairing takes them away.
        assert gap.estimate.high - gap.estimate.low < 0.008
    small, middle, large = gap_table(arm, 0.005)
    assert small.same and not large.same and large.p_value < 0.001 and middle.worse
    assert against_own_reference([arm]) == {"constant": (128,)}


def test_equal_steps_are_those_of_the_larger_batch() -> None:
    arm = constant(results(EXACT))
    # Batch 4096 ends after 10 steps, 10 epochs; batch 32 evaluates after 8 and 16 of its 128 steps an epoch.
    at = arm.at_step("test_accuracy", (32, 4096), 10)
    shared = np.random.default_rng(10_000).normal(0, 0.003)

    def after(epoch: float) -> float:
        return float(0.1 + (0.9 + shared - 0.1) * (1 - math.exp(-epoch)))

    assert at.loc[0, 32] == pytest.approx(0.75 * after(8 / 128) + 0.25 * after(16 / 128))
    assert at.loc[0, 4096] == pytest.approx(after(10))
    gap = gap_table(arm, 0.005, EQUAL_STEPS)[-1]
    assert gap.estimate.value < -0.7 and gap.budget == "equal steps"


def test_equal_train_loss_compares_where_both_reach_it() -> None:
    study = change(EXACT, "sgd", loss_gap={4096: 0.4}, generalization={4096: 0.05})
    arm = constant(results(study))
    own = arm.at_equal_loss("generalization_gap", (32, 4096))
    # Batch 4096 ends at loss 0.6, and the gap is (0.02 + extra) (1 - loss/2.3).
    added = (own[4096] - own[32]).to_numpy()
    losses = 0.6 - np.array([np.random.default_rng(10_000 + s).normal(0, 0.003) for s in range(6)])
    assert added == pytest.approx(0.05 * (1 - losses / 2.3), rel=0.02)


def test_a_model_that_learned_nothing_is_not_compared_at_equal_loss() -> None:
    arm = constant(results(change(EXACT, "sgd", loss_gap={4096: 1.5})))
    assert gap_table(arm, 0.005, EQUAL_LOSS)[-1].estimate.n == 0
    assert gap_table(arm, 0.005, EQUAL_LOSS)[0].estimate.n == 6


def test_an_epoch_between_evaluations_is_read_on_a_straight_line() -> None:
    arm = constant(results(EXACT))
    at = arm.at("train_loss", (4096,), "epoch", 2.5)[4096]
    two, three = (arm.at("train_loss", (4096,), "epoch", e)[4096] for e in (2.0, 3.0))
    assert at.to_numpy() == pytest.approx(((two + three) / 2).to_numpy())
    # Before the first evaluation of batch 4096, at one epoch, nothing is known.
    early = arm.at("train_loss", (32, 4096), "epoch", 0.2)
    assert early.equals(arm.at("train_loss", (32, 4096), "epoch", 1.0))


def test_pairs_leave_out_seeds_that_lack_one_of_two() -> None:
    matrix = pd.DataFrame({32: [1.0, 2.0, math.nan], 64: [0.5, math.nan, 3.0]})
    assert pairs(matrix, 32, 64).tolist() == [0.5]
    assert pairs(matrix, 32, 128).size == 0


def test_the_critical_batch_three_ways() -> None:
    # The truth has one accuracy per epoch, so steps fall as 1/B: the knee lies beyond.
    found, = Found(results(replace(STUDY, noise_scale=300.0))).critical
    noise = found.sources[NOISE]
    assert noise.low < 300 * 1.1 and noise.high > 300 * 0.9
    assert any("every batch measured lies below the knee" in text for text in found.statements)
    assert not any("look for a bug" in text for text in found.statements)
    assert found.useful is not None and found.useful.perfect_scaling_end == 4096
    none, = Found(results(change(STUDY, "sgd", diverged=SGD.batches))).critical
    assert math.isnan(none.target) and math.isnan(none.sources[STEPS].value)


def test_weights_kept_from_batch_to_batch_start_where_the_last_ended() -> None:
    study = replace(EXACT, experiments=(replace(ONE_RULE, as_published=True),))
    table = published_artefact(results(study), "sgd").set_index("global_batch")
    assert table.loc[4096, "kept_start"] > table.loc[4096, "clean_start"] + 0.2
    assert table.loc[32, "kept_start"] == pytest.approx(table.loc[32, "clean_start"], abs=0.01)
    assert list(table["kept_n"]) == [6] * 4
    assert published_artefact(results(EXACT), "sgd").empty
    said = published(results(study), load_arms(results(study))[0])
    assert said.startswith("batch 4,096 would seem to reach ") and "% (" in said.partition(";")[2]
    assert "which is what 40 epochs do, not the batch; started afresh, with 10 epochs" in said
    assert published(results(EXACT), load_arms(results(EXACT))[0]) == ""


@pytest.mark.parametrize("budget", [EQUAL_EPOCHS, EQUAL_STEPS, EQUAL_LOSS])
def test_one_seed_gives_values_without_intervals(budget: str) -> None:
    for gap in gap_table(constant(results(replace(STUDY, seeds=1))), 0.005, budget):
        assert gap.estimate.n == 1 and not gap.estimate.has_interval
        assert not gap.same
    assert load_arm(results(STUDY), "sgd", "no such rule").batches == (32,)  # type: ignore
