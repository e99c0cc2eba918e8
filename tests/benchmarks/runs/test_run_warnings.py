"""Warnings of runs: recognized by the sentence, and many of them told as a few."""

from __future__ import annotations

from collections.abc import Callable

from batchscale.benchmarks.runs.derived import flags
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.benchmarks.runs.run_warnings import (EVALUATION, grouped, merged, PEAK_NEVER_REACHED, RULE,
                                                     STATISTICS_NOT_FORGOTTEN, taken_by, Warned)


def test_a_warning_that_undermines_its_run_is_recognized_by_its_sentence(config: Callable[..., RunConfig]) -> None:
    long = config(rule="linear", global_batch=128, train_examples=640, warmup_epochs=5.0, epochs=3)
    said = [sentence for sentence in flags(long) if taken_by(sentence)]
    assert said == [PEAK_NEVER_REACHED.sentence(warmup=25, steps=15)] and taken_by(said[0]) == RULE
    # As records of the first version have it.
    assert taken_by("batch norm's moving statistics need 458 updates to forget their start and this run makes 248: its "
                    "evaluations may judge the model worse than it is; take more epochs, or a model with a lower batch "
                    "norm momentum") == EVALUATION
    assert taken_by("warm-up lasts 4 steps, fewer than 30: the rate all but starts at its peak") == ""


def test_sentences_that_differ_in_numbers_are_one_with_ranges_and_names_keep_their_digits() -> None:
    assert merged([PEAK_NEVER_REACHED.sentence(warmup=w, steps=s) for w, s in ((1875, 1125), (5, 3), (115, 69))]) == (
        "warm-up of 5 to 1875 steps is longer than the run of 3 to 1125: the peak is never reached")
    assert merged(["kappa = 2: beta_1 is 0", "kappa = 1.5: beta_1 is 0"]) == "kappa = 1.5 to 2: beta_1 is 0"


def test_groups_count_runs_and_name_arms_and_those_that_undermine_come_first() -> None:
    few = STATISTICS_NOT_FORGOTTEN.sentence(needed=458, updates=12)
    found = grouped([Warned("a", "sgd", "linear", 512, "it is short: 4 steps"),
                     Warned("b", "sgd", "linear", 128, "it is short: 9 steps"),
                     Warned("c", "adam", "sqrt", 512, "it is short: 4 steps"), Warned("a", "sgd", "linear", 512, few)])
    assert [str(group) for group in found] == [
        f"{few} (1 run: sgd, linear, batch 512)",
        "it is short: 4 to 9 steps (3 runs: sgd, linear, batch 128 and 512; adam, sqrt, batch 512)"]
