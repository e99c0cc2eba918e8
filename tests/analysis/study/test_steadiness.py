"""Launches of a timing point that disagree: which one stands apart, what rests on it, and how many more to run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.synthetic_records import manifest, records, results, Study, Timing

from batchscale.analysis.decision.decision import decide_of
from batchscale.analysis.decision.headline import scaling_headlines
from batchscale.analysis.statistics.sample_size import repeats_for_width
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.study.timing.scaling import scalings
from batchscale.analysis.study.timing.steadiness import MOST_LAUNCHES, timing_warnings, unsteady_points
from batchscale.analysis.tables.reading import from_records
from batchscale.analysis.tables.selections import timing_runs

QUIET = Timing(replica_batches=(32, 128, 512), global_batches=(512,), strategies=("mirrored",), noise=0.01)
DISTURBED = replace(QUIET, disturbed=((1, 2, 2.0),))
PLAN = """
[plan]
name = "synthetic"
[[experiment]]
name = "weak_scaling"
kind = "throughput"
dataset = "glyphs"
model = "mlp_128"
strategies = ["mirrored"]
replicas = [1, 2]
scaling = "weak"
replica_batches = [32, 128, 512]
launches = 3
"""


def study(timing: Timing) -> Study:
    return Study((), timing=timing, memory=None, train_examples=48_000)


def test_the_launch_without_which_the_others_agree_is_named() -> None:
    found = unsteady_points(timing_runs(results(study(DISTURBED))))
    assert {(point.experiment, point.placement) for point in found} == {("weak_scaling", "mirrored-2r"),
                                                                        ("strong_scaling", "mirrored-2r")}
    for point in found:
        assert point.apart == 1 and point.ratio == pytest.approx(0.5, abs=0.02) and point.spread > 0.3
    assert unsteady_points(timing_runs(results(study(QUIET)))) == []


def test_of_two_launches_and_of_many_that_differ_none_is_accused() -> None:
    two = unsteady_points(timing_runs(results(study(replace(DISTURBED, launches=2)))))
    assert two and {point.apart for point in two} == {None}
    wild = unsteady_points(timing_runs(results(study(replace(QUIET, noise=0.5)))))
    assert None in {point.apart for point in wild}


def test_a_disturbed_launch_is_shown_and_no_headline_rests_on_it() -> None:
    made = results(study(DISTURBED))
    warning, = timing_warnings(made)
    assert warning.startswith("Unstable: 4 of 8 timing points") and "launch 1 had 0.50 times the others" in warning
    for text in scaling_headlines(scalings(made)):
        assert "not known" in text and "%" not in text
    part = replace(QUIET, replica_batches=(32, 128), global_batches=())
    other = records(study(replace(part, disturbed=((1, 2, 2.0),), replica_batches=(32,))))
    quiet = [record for record in records(study(part)) if record["config"]["global_batch"] not in (32, 64)]
    mixed = [*other, *quiet]
    text, = scaling_headlines(scalings(from_records(mixed, manifest(study(part), mixed))))
    assert "at batch 128 per replica" in text and text.endswith("left out as unstable: batch 32.")


def test_more_launches_are_asked_for_where_the_spread_asks() -> None:
    made = records(study(DISTURBED))
    listed = {**manifest(study(DISTURBED), made), "text": PLAN}
    decided = decide_of(Found(from_records(made, listed)))
    assert any("weak_scaling: 3 timing points vary too widely over their launches; 6 launches would tell" in text
               for text in decided.open_questions)
    assert "launches = 6" in decided.next_plan and "replica_batches = [32, 128, 512]" in decided.next_plan
    assert repeats_for_width(np.log([1.0, 1.02, 0.98]), 0.1, MOST_LAUNCHES) == 3
    assert repeats_for_width(np.log([1.0, 1.5, 0.6]), 0.1, MOST_LAUNCHES) == MOST_LAUNCHES
    assert repeats_for_width(np.zeros(1), 0.1, MOST_LAUNCHES) == MOST_LAUNCHES


def test_a_plan_may_summarize_launches_by_their_median() -> None:
    made = records(study(replace(DISTURBED, launches=7)))
    listed = manifest(study(DISTURBED), made)
    by = {summary: next(one for one in scalings(from_records(made, {**listed, "settings": {
        **listed["settings"], "launch_summary": summary}})) if one.kind == "weak" and one.fixed_batch == 512)
        for summary in ("mean", "median")}
    truth = 6.12e-3 / 6.32e-3
    assert by["median"].points[1].efficiency.value == pytest.approx(truth, abs=0.02)
    assert by["median"].points[1].efficiency.has_interval and by["mean"].points[1].efficiency.value < truth - 0.05
    assert by["median"].marginal[2].value == pytest.approx(2 * truth - 1, abs=0.04)
