"""Times taken alone and beside other runs are never set against each other."""

from __future__ import annotations

from dataclasses import replace

from batchscale.analysis.decision.decision import decide_of, Decision
from batchscale.analysis.decision.options import ALONE, BESIDE
from batchscale.analysis.study.study import Study as Found
from support.synthetic_records import SGD, Curve, Study, Timing, results

STUDY = Study(experiments=(replace(SGD, batches=(32, 512), curves={"constant": Curve()}, noise_batches=()),),
              timing=Timing(replica_batches=(32, 512), global_batches=(), strategies=("mirrored",), replicas=(1,)),
              memory=None, seeds=5, epochs=2)


def decided(study: Study, deadline_seconds: float | None = None) -> Decision:
    return decide_of(Found(results(study)), [], deadline_seconds)


def test_a_strategy_of_many_replicas_is_not_recommended_with_one_because_it_was_timed_alone() -> None:
    found = decided(STUDY)
    assert {(one.placement, one.timed) for one in found.options} == {("single-1r", BESIDE), ("mirrored-1r", ALONE)}
    option = found.recommendations[0].option
    assert option is not None and option.placement == "single-1r"


def test_no_option_is_struck_by_one_that_was_timed_in_another_way() -> None:
    """At equal accuracy the times of both kinds lie far apart, and each kind has its own front."""
    fronts = {one.timed for one in decided(STUDY).options if one.pareto}
    assert fronts == {ALONE, BESIDE}


def test_one_device_is_timed_beside_the_strategies_and_scales_nowhere() -> None:
    timing = Timing(replica_batches=(), global_batches=(32, 512), strategies=("single", "mirrored"), replicas=(1,))
    found = decided(replace(STUDY, timing=timing))
    assert {one.strategy for one in found.scaling} == {"mirrored"}
    option = found.recommendations[0].option
    assert option is not None and (option.placement, option.timed) == ("single-1r", ALONE)


def test_a_deadline_is_met_by_times_of_one_kind() -> None:
    found = decided(STUDY, deadline_seconds=1e6)
    assert found.deadlines[0].option is not None and found.deadlines[0].option.timed == ALONE
