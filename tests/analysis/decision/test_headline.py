"""The first lines of a report, on records whose truth is known."""

from __future__ import annotations

import re
from dataclasses import replace

from batchscale.analysis.decision.decision import decide_of
from batchscale.analysis.decision.headline import headlines
from batchscale.analysis.study.arms import load_arms
from batchscale.analysis.study.study import Study as Found
from support.synthetic_records import ADAM, SGD, Curve, Study, Timing, change, results

STUDY = Study(experiments=(replace(SGD, curves={"constant": Curve(), "sqrt": Curve()}),), noise=1e-4)


def test_the_headline_names_the_batch_the_rate_and_what_the_largest_batch_loses() -> None:
    lossy = change(STUDY, "sgd", "constant", accuracy_gap={128: 0.05, 512: 0.05, 4096: 0.2})
    lossy = change(lossy, "sgd", "sqrt", accuracy_gap={128: 0.05, 512: 0.05, 4096: 0.05})
    headline, = decide_of(Found(results(lossy))).headlines
    assert headline.startswith("SGD on mlp_128: train with global batch 32 and learning rate 0.01; test accuracy 90.0")
    assert "By validation no larger batch is shown to cost at most 0.5 points." in headline
    assert re.search(r"Batch 4,096 loses (20\.0|19\.9)\d* points \(19\.[89]\d* to (20|19)\.\d+,.* n = 6 seeds\) of "
                     r"test accuracy at the constant rate and (5\.0|4\.9)\d* \(4\.9\d* to 5\.\d+,.* n = 6 seeds\) "
                     r"under the square-root rule\.$", headline)


def test_a_batch_that_keeps_the_accuracy_is_named_with_the_time_it_spares() -> None:
    better = change(STUDY, "sgd", "constant", accuracy_gap={4096: 0.2})
    better = change(better, "sgd", "sqrt", accuracy_gap={4096: -0.02})
    headline, = decide_of(Found(results(better))).headlines
    assert "train with global batch 4,096" in headline
    assert "By validation it costs no more than 0.5 points against batch 32 and trains in" in headline
    assert re.search(r"batch 32 and trains in \d+(\.\d+)? % \(no interval, n = 6 seeds\) of its time", headline)
    assert re.search(r"loses (20\.0|19\.9)\d* points \(.*?\) of test accuracy at the constant rate and gains "
                     r"(2\.0|1\.9)\d* \(.*?\) under", headline)


def test_a_larger_batch_is_not_safe_where_a_smaller_one_is_not() -> None:
    """Tested in order of size: what batch 4,096 reaches by luck says nothing of keeping the accuracy up to there."""
    gaps = {128: 0.05, 512: 0.05, 4096: 0.0}
    study = change(change(STUDY, "sgd", "sqrt", accuracy_gap=gaps), "sgd", "constant", accuracy_gap=gaps)
    decision = decide_of(Found(results(study)))
    row = next(row for table in decision.overview for row in table.rows if row[1] == "sqrt")
    assert row[-1] == "none above the reference"
    assert "no larger batch is shown to keep the accuracy" in " ".join(decision.sentences)
    assert "up to batch 4,096" not in " ".join(decision.sentences)


def test_the_batch_chosen_is_held_against_the_one_it_was_tested_against() -> None:
    found = results(change(STUDY, "sgd", "sqrt", accuracy_gap={4096: -0.02}))
    decision = decide_of(Found(found))
    one, = decision.recommendations
    assert one.option and one.option.global_batch == 4096
    untimed = [option for option in decision.options if option.global_batch > 32]
    text, = headlines((one,), {"sgd": load_arms(found)}, {"sgd": untimed})
    assert "costs no more than 0.5 points against batch 32. " in text and "of its time" not in text


def test_the_table_beside_it_holds_every_rule_with_interval_and_n() -> None:
    table, = decide_of(Found(results(replace(STUDY, experiments=(*STUDY.experiments, ADAM))))).overview
    assert [row[1] for row in table.rows] == ["constant", "sqrt", "constant", "linear", "sqrt"]
    assert all("n = 6" in row[3] and " to " in row[3] for row in table.rows)
    assert [bool(row[0]) for row in table.rows] == [True, False, True, False, False]


def test_scaling_is_told_from_its_worst_batch_to_its_best() -> None:
    study = replace(STUDY, timing=Timing(strategies=("mirrored",), noise=0.001))
    weak = next(text for text in decide_of(Found(results(study))).sentences if "weak scaling" in text)
    assert weak.startswith("mirrored, weak scaling to 2 replicas: efficiency 8")
    assert weak.index("at batch 32 per replica") < weak.index("at batch 2,048 per replica")


def test_a_larger_batch_that_keeps_the_accuracy_but_saves_no_time_is_not_denied() -> None:
    found = results(change(STUDY, "sgd", "sqrt", accuracy_gap={4096: -0.02}))
    decision = decide_of(Found(found))
    one, = decision.recommendations
    assert one.option
    good = {o.global_batch: o for o in decision.options if o.not_worse and o.timed == one.option.timed}
    text, = headlines((replace(one, option=good[32]),), {"sgd": load_arms(found)}, {"sgd": tuple(good.values())})
    said = f"By validation batch {max(good):,} costs no more than 0.5 points against it either, but trains no faster."
    assert max(good) > 32 and said in text
