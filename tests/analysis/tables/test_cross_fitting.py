"""The runs that stand for a tuned arm: each half of the seeds, or each seed, at the rate that the others choose."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from support.synthetic_records import SGD, Curve, Study, Tuning, manifest, records

from batchscale.analysis.tables.reading import from_records
from batchscale.analysis.tables.results import Results
from batchscale.analysis.tables.tuned_rates import tuned_batches, TunedBatch

TUNED = replace(SGD, batches=(32, 512), noise_batches=(), curves={"constant": Curve()}, tuning=Tuning())
STUDY = Study(experiments=(TUNED,), timing=None, memory=None, noise=1e-4)


def tuned(found: Results) -> dict[int, TunedBatch]:
    return {one.global_batch: one for one in found.tuned}


def test_each_half_of_the_seeds_stands_at_the_rate_that_the_other_half_chooses() -> None:
    made = records(STUDY)
    rates = sorted({(r["config"]["base_learning_rate"], r["config"]["trial"]) for r in made
                    if r["config"]["rule"] == "tuned" and r["config"]["global_batch"] == 512})
    low, high = rates[2][1], rates[5][1]
    for record in made:
        config = record["config"]
        if config["rule"] == "tuned" and config["global_batch"] == 512:
            favourite = low if config["seed"] < 3 else high
            record["evaluations"][-1]["validation_accuracy"] = 0.95 if config["trial"] == favourite else 0.9
    found = from_records(made, manifest(STUDY, made))
    assert tuned(found)[512].standing == {0: high, 1: high, 2: high, 3: low, 4: low, 5: low}
    own = found.runs[(found.runs["rule"] == "tuned") & (found.runs["global_batch"] == 512)]
    assert dict(zip(own["seed"], own["trial"])) == tuned(found)[512].standing
    # What nobody would know beforehand, the luck of the half that chose, is not in the arm's mean.
    assert own["validation_accuracy"].mean() == pytest.approx(0.9)
    assert tuned(found)[512].chosen.trial in (low, high)


def test_a_rate_that_lost_a_seed_stands_for_none_even_where_the_other_half_kept_all() -> None:
    made = records(STUDY)
    best = tuned(from_records(made, manifest(STUDY, made)))[512].chosen.trial
    for record in made:
        config = record["config"]
        if (config["rule"], config["trial"], config["global_batch"], config["seed"]) == ("tuned", best, 512, 0):
            record["status"] = "diverged"
    found = tuned(from_records(made, manifest(STUDY, made)))[512]
    assert found.chosen.trial != best and best not in found.standing.values()


def test_a_half_without_a_result_leaves_the_choice_to_all_seeds() -> None:
    made = [record for record in records(STUDY)
            if record["config"]["rule"] != "tuned" or record["config"]["seed"] < 3]
    found = tuned(from_records(made, manifest(STUDY, records(STUDY))))[512]
    assert set(found.standing.values()) == {found.chosen.trial}


def test_where_rates_took_unequally_many_seeds_each_stands_at_the_rate_that_the_others_choose() -> None:
    """One rate is the best of three seeds by the luck of the first of them; it alone goes on."""
    made = records(STUDY)
    found = from_records(made, manifest(STUDY, made))
    runs = found.all_runs[(found.all_runs["rule"] == "tuned") & (found.all_runs["global_batch"] == 512)]
    lucky, steady = runs["trial"].eq(0), runs["trial"].eq(1)
    runs = runs.assign(validation_accuracy=0.90 + 0.09 * (lucky & runs["seed"].eq(0)) + 0.02 * steady)
    runs = runs[lucky | (runs["seed"] < 3)]
    listed = pd.concat([runs, runs[runs["seed"] < 3].assign(stops_after=2)])
    one, = tuned_batches(listed, listed[found.statuses.columns.intersection(listed.columns)])
    assert one.chosen.trial == 0 and one.standing == {0: 1, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0}
    assert not one.partial
