"""From records to a decision: what is recommended, at what price, and what is refused."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

import pytest

from batchscale.analysis.decision.decision import decide_of, Decision
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.tables.reading import from_records
from batchscale.benchmarks.planning import plan
from support.synthetic_records import (ADAM, DEEP, SGD, Curve, Memory, Study, Timing, change, manifest, records,
                                       results)

ONE_RULE = replace(SGD, curves={"constant": Curve(), "sqrt": Curve()})
STUDY = Study(experiments=(ONE_RULE,))
GAPS = {512: 0.05, 4096: 0.05}


decided: dict[str, Decision] = {}


def decision(study: Study, **options: float) -> Decision:
    key = f"{study} {options}"
    if key not in decided:
        decided[key] = _decided(study, **options)
    return decided[key]


def _decided(study: Study, **options: float) -> Decision:
    found = decide_of(Found(results(study)), **options)  # type: ignore[arg-type]
    json.dumps(found.to_json(), allow_nan=False)
    assert found.sentences and not any("nan" in text.split() for text in found.sentences)
    if found.next_plan:
        plan.parse(found.next_plan)
    return found


def test_the_fastest_batch_that_costs_no_accuracy_is_recommended() -> None:
    found = decision(change(STUDY, "sgd", accuracy_gap=GAPS))
    option = found.recommendations[0].option
    assert option is not None and option.global_batch == 128 and option.not_worse
    assert option.test.low < 0.9 < option.test.high
    assert "batch 128" in found.sentences[0]
    assert "4096 training examples" in found.recommendations[0].valid_for.replace(",", "")


def test_the_rule_that_keeps_accuracy_is_recommended_with_its_rate() -> None:
    found = decision(change(STUDY, "sgd", "constant", accuracy_gap=GAPS))
    option = found.recommendations[0].option
    assert option is not None and (option.rule, option.global_batch) == ("sqrt", 4096)
    assert option.learning_rate == pytest.approx(0.01 * math.sqrt(4096 / 32))


def test_where_every_larger_batch_costs_accuracy_the_reference_stays() -> None:
    found = decision(change(STUDY, "sgd", accuracy_gap={128: 0.05, **GAPS}))
    option = found.recommendations[0].option
    assert option is not None and option.global_batch == 32
    assert "No batch above 32 is shown to cost at most 0.5 points" in found.recommendations[0].reason


def test_replicas_are_added_while_each_brings_its_share() -> None:
    study = change(STUDY, "sgd", accuracy_gap={4096: 0.05})
    two = decision(study).recommendations[0]
    assert two.option is not None and (two.option.global_batch, two.option.replicas) == (512, 2)
    slow = replace(study, timing=Timing(synchronization_seconds=5e-3))
    one = decision(slow).recommendations[0]
    assert one.option is not None and one.option.replicas == 1 and "stay at 1" in one.reason


def test_the_recommendation_and_the_scaling_section_mean_the_same_share() -> None:
    """At 1, 2 and 4 replicas a step takes 6.12, 3.76 and 2.48 ms: the last two bring 42 % of a share each, though they
    bring 52 % of what the first two have."""
    timing = Timing(replicas=(1, 2, 4), replica_batches=(32, 512), strategies=("mirrored",), noise=0.001)
    found = decision(replace(change(STUDY, "sgd", accuracy_gap={4096: 0.05}), timing=timing))
    one = found.recommendations[0]
    strong = next(s for s in found.scaling if s.kind == "strong" and s.fixed_batch == 512)
    assert strong.marginal[4].value == pytest.approx(0.42, abs=0.01)
    assert one.option is not None and one.option.global_batch == 512
    assert one.option.replicas == strong.largest_worthwhile(0.5) == 2
    assert "4 replicas bring 42" in one.reason and "stay at 2" in one.reason


def test_replicas_whose_share_is_not_shown_are_not_recommended() -> None:
    """Two replicas bring 63 % on the mean of three launches, which spread by 20 %."""
    timing = Timing(strategies=("mirrored",), noise=0.2)
    found = decision(replace(change(STUDY, "sgd", accuracy_gap={4096: 0.05}), timing=timing))
    assert found.recommendations[0].option is not None and found.recommendations[0].option.replicas == 1
    assert all(one.largest_worthwhile(0.5) == 1 for one in found.scaling if one.marginal)


def test_replicas_without_a_timed_baseline_are_not_recommended() -> None:
    found = decision(STUDY).recommendations[0]
    # Batch 4096 was timed on two replicas alone, so what the second one brings is not known.
    assert found.option is not None and found.option.replicas == 1
    assert "What 2 replicas bring is not known" in found.reason


def test_a_deadline_is_met_by_the_fewest_device_hours() -> None:
    study = change(STUDY, "sgd", accuracy_gap={4096: 0.05})
    # 10 epochs at batch 512 are 80 steps of 6.12 ms on one replica and 3.76 ms on two.
    loose, tight, never = (decision(study, deadline_seconds=s).deadlines[0]
                           for s in (10.0, 0.35, 0.01))
    assert loose.option is not None and loose.option.replicas == 1
    assert tight.option is not None and tight.option.replicas == 2
    assert never.option is None and "none of" in never.reason


def test_the_front_holds_what_nothing_else_beats() -> None:
    found = decision(change(STUDY, "sgd", accuracy_gap={128: 0.01, 512: 0.05, 4096: 0.1}))
    front = [o for o in found.options if o.pareto]
    for one in front:
        assert not any(o.seconds.value <= one.seconds.value
                       and o.device_hours.value <= one.device_hours.value
                       and o.test.value > one.test.value for o in found.options)
    assert {32, 128, 512} <= {o.global_batch for o in front}


def test_money_needs_a_price() -> None:
    made = records(STUDY)
    facts = manifest(STUDY, made)
    facts["settings"]["price_per_device_hour"] = 3.6
    option = decide_of(Found(from_records(made, facts))).options[0]
    # 3.6 per hour is 0.001 per second.
    assert option.money.value == pytest.approx(option.seconds.value * (option.replicas or 0) / 1000)
    assert math.isnan(decision(STUDY).options[0].money.value)


def test_efficiency_names_its_baseline_and_finds_the_truth() -> None:
    timing = Timing(replicas=(1, 2, 4, 8), replica_batches=(32, 128, 512))
    found = decision(replace(STUDY, timing=timing))
    weak = next(s for s in found.scaling if s.kind == "weak" and s.fixed_batch == 128)
    # T = 1 ms + 10 us * 128 = 2.28 ms alone, and 0.2 ms more in company.
    at_8 = weak.points[-1]
    assert at_8.efficiency.low < 2.28 / 2.48 < at_8.efficiency.high
    assert weak.baseline == "mirrored, 1 replica, 1 core each, 3 launches"
    assert weak.largest_worthwhile(0.5) == 8
    strong = next(s for s in found.scaling if s.kind == "strong" and s.fixed_batch == 512)
    assert strong.usl is not None and strong.usl.contention.value >= 0
    assert strong.largest_worthwhile(0.9) == 1


def test_the_slowest_rank_sets_the_pace() -> None:
    found = decision(replace(STUDY, timing=Timing(slow_rank=2.0)))
    horovod = next(s for s in found.scaling if s.strategy == "horovod-mpi" and s.kind == "weak")
    mirrored = next(s for s in found.scaling if s.strategy == "mirrored" and s.kind == "weak")
    ratio = horovod.points[-1].efficiency.value / mirrored.points[-1].efficiency.value
    assert ratio == pytest.approx(0.5, rel=0.05)


def test_memory_law_and_the_batch_it_predicts() -> None:
    made = records(STUDY)
    for record in made:
        record["environment"]["memory_bytes"] = 1_600_000_000
    finding = decide_of(Found(from_records(made, manifest(STUDY, made)))).memory[0]
    slope = finding.law.bytes_per_example
    assert slope.low < 20_000 < slope.high
    # 95 % of (1.6e9 - 0.6e9), less 5e7, at 20 kB each.
    assert finding.capacity_bytes == 1e9
    assert finding.largest.value == pytest.approx(45_000, rel=0.02)
    assert math.isnan(decision(STUDY).memory[0].largest.value)


def test_what_lies_outside_the_allocator_of_a_gpu_is_no_room_for_a_batch() -> None:
    """CUDA's context, libraries and NCCL's buffers are in no peak of TensorFlow's; the pool that a large run's
    allocator holds and does not use is, and counts for nothing."""
    made = records(STUDY)
    memory = [record for record in made if record["config"]["kind"] == "memory"]
    for number, record in enumerate(memory):
        peak = record["memory"]["peak_bytes"] - record["memory"]["baseline_bytes"]
        record["memory"] |= {"device_baseline_bytes": 1, "device_peak_bytes": peak, "device_capacity_bytes": 10**9,
                             "device_used_bytes": peak + 200_000_000 + number * 50_000_000}
    finding = decide_of(Found(from_records(made, manifest(STUDY, made)))).memory[0]
    assert (finding.group.outside_bytes, finding.capacity_bytes) == (2e8, 8e8)
    # 95 % of (1e9 - 2e8), less 5e7, at 20 kB each.
    assert finding.largest.value == pytest.approx(35_500, rel=0.02)
    assert finding.group.to_json()["outside_allocator_bytes"] == 2e8
    for record in memory:
        del record["memory"]["device_used_bytes"]  # as older records are, and those without NVML
    assert decide_of(Found(from_records(made, manifest(STUDY, made)))).memory[0].capacity_bytes == 1e9


def test_a_drifting_or_unsteady_machine_is_reported_with_what_to_do() -> None:
    assert decision(STUDY).warnings == ()
    drifted = decision(replace(STUDY, timing=Timing(drift=1.5)))
    assert any("drifted" in text and "again" in text for text in drifted.warnings)
    unsteady = decision(replace(STUDY, timing=Timing(noise=0.4)))
    assert any(text.startswith("Unstable") for text in unsteady.warnings)


def test_one_number_of_replicas_gives_no_efficiency_and_a_plan() -> None:
    found = decision(replace(STUDY, timing=Timing(replicas=(1,))))
    assert all(not s.points and "no efficiency" in s.note for s in found.scaling)
    assert any("only 1 replica measured" in text for text in found.sentences)
    assert 'name = "weak_scaling"' in found.next_plan


def test_too_few_seeds_are_refused_and_asked_for() -> None:
    found = decision(replace(STUDY, seeds=1))
    assert found.recommendations[0].option is None
    assert any("fewer than 2" in sentence for sentence in found.answers)
    parsed = plan.parse(found.next_plan)
    assert parsed.experiments[0]["seeds"] >= 6
    assert parsed.experiments[0]["global_batches"] == (32, 128, 512, 4096)


def test_a_batch_still_not_worse_asks_for_larger_ones() -> None:
    small = replace(ONE_RULE, batches=(32, 128, 512))
    found = decision(replace(STUDY, experiments=(small,)))
    assert "the limit lies beyond" in found.open_questions[0]
    assert plan.parse(found.next_plan).experiments[0]["global_batches"] == (32, 512, 1024)


def test_a_complete_study_asks_for_nothing() -> None:
    found = decision(change(STUDY, "sgd", accuracy_gap=GAPS))
    assert found.open_questions == () and found.next_plan == ""


def test_nothing_measured_decides_nothing() -> None:
    found = decide_of(Found(from_records([], {"runs": []})))
    assert found.sentences[0] == "No batch is recommended: no accuracy or loss was measured."
    assert not found.options and not found.recommendations
    names = [e["name"] for e in plan.parse(found.next_plan).experiments]
    assert names == ["accuracy", "weak_scaling", "strong_scaling", "memory"]


HOSTILE = {
    "one seed": replace(STUDY, seeds=1),
    "all diverged": change(STUDY, "sgd", diverged=SGD.batches),
    "reference diverged": change(STUDY, "sgd", diverged=(32,)),
    "one batch": replace(STUDY, experiments=(replace(ONE_RULE, batches=(32,)),)),
    "no timing": replace(STUDY, timing=None, memory=None),
    "one launch": replace(STUDY, timing=Timing(launches=1)),
    "three sizes of memory": replace(STUDY, memory=Memory(batches=(256, 512, 1024))),
    "no noise at all": replace(STUDY, noise=0.0),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_studies_end_in_words(name: str) -> None:
    found = decision(HOSTILE[name], deadline_seconds=1.0)
    assert len(found.verdicts) == 10
    if name in ("one seed", "all diverged"):
        assert all(one.option is None for one in found.recommendations)


def test_nan_throughout_recommends_nothing() -> None:
    made = records(STUDY)
    for index, record in enumerate(made):
        record["schema_version"] = 1 + index % 2
        for row in [*record["evaluations"], *record["gradient_norms"]]:
            row |= {name: None for name, value in row.items()
                    if isinstance(value, float) and name not in ("epoch", "train_seconds")}
        record["windows"] = []
        record["memory"] = dict.fromkeys(record["memory"])
    found = decide_of(Found(from_records(made, manifest(STUDY, made))), deadline_seconds=1.0)
    json.dumps(found.to_json(), allow_nan=False)
    assert all(one.option is None for one in found.recommendations)
    assert all(math.isnan(e.value) for c in found.critical for e in c.sources.values())
    plan.parse(found.next_plan)


def test_an_unfinished_plan_is_its_own_next_plan() -> None:
    made = records(STUDY)
    found = decide_of(Found(from_records(made[:-9], manifest(STUDY, made))))
    assert f"9 of {len(made)} runs have no result yet" in found.open_questions[0]
    assert found.next_plan == "" and found.sentences[-1] == found.open_questions[0]


@pytest.mark.slow
def test_ten_thousand_records_are_decided_in_time() -> None:
    many = tuple(replace(e, name=f"{e.name}_{i}") for i in range(11) for e in (SGD, ADAM, DEEP))
    table = results(Study(experiments=many, seeds=32))
    assert len(table.runs) > 9_500
    before = time.process_time()
    assert len(decide_of(Found(table)).recommendations) == 33
    assert time.process_time() - before < 60
