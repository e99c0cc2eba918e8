"""Defaults that follow from other keys, and margins that are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.planning import expansion, plan
from batchscale.benchmarks.planning.derived_keys import seeds_for_claims
from batchscale.benchmarks.planning.foreseen import to_know
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.benchmarks.runs.run_warnings import RULE, taken_by
from batchscale.benchmarks.schedules.rates import peak_rate

TEXT = """
[plan]
name = "small"
[[experiment]]
name = "sgd"
dataset = "digits"
model = "mlp_128"
seeds = 1
global_batches = [64, 512]
rules = ["constant", "linear"]
"""


def runs(keys: str = "", setting: str = "", text: str = TEXT) -> list[RunConfig]:
    text = text.replace('name = "small"', f'name = "small"\n{setting}') + keys
    found = expansion.expand(plan.parse(text), lambda *_: 1146, {}).runs
    return [config for config in found if config.experiment == "sgd"]


@pytest.mark.parametrize(("given", "batches", "found"), [
    ({"claim_seeds": 6}, (32, 128, 512, 2048), {32: 6, 512: 6}),
    ({"claim_seeds": 6, "max_seeds": 5}, (32, 2048, 4096), {32: 5, 4096: 5}),
    ({"claim_seeds": 6}, (32,), {}), ({}, (32, 512), {}), ({"claim_seeds": 6, "seeds": 3}, (32, 512), {})])
def test_seeds_for_claims_are_of_the_published_batch_at_the_constant_rate(
        given: dict[str, int], batches: tuple[int, ...], found: dict[int, int]) -> None:
    cells = [(rule, batch) for rule in ("constant", "linear") for batch in batches]
    assert seeds_for_claims({"seeds": "auto", **given}, cells, 32) == {
        ("constant", batch): seeds for batch, seeds in found.items()}
    assert seeds_for_claims({"seeds": "auto", **given}, cells, float("nan")) == {}


def test_the_reference_batch_is_32_where_that_is_trained_and_else_the_smallest_so_that_its_rate_is_the_plans() -> None:
    smallest = next(config for config in runs() if config.global_batch == 64)
    assert (smallest.reference_batch, peak_rate(smallest)) == (64, 0.01)
    both = runs(text=TEXT.replace("[64, 512]", "[16, 32, 512]"))
    assert {config.reference_batch for config in both} == {32}


def test_a_reference_batch_that_is_not_trained_is_refused_with_the_batches() -> None:
    with pytest.raises(PlanError, match=r"reference_batch = 32, which is not among its batches \(64, 512\).*smallest"):
        runs("reference_batch = 32")
    assert {config.reference_batch for config in runs("reference_batch = 512")} == {512}


@pytest.mark.parametrize(("epochs", "warmup"), [(1, 0.5), (3, 1.5), (9, 4.5), (10, 5.0), (90, 5.0)])
def test_a_warm_up_that_the_plan_leaves_open_takes_at_most_half_of_the_run(epochs: int, warmup: float) -> None:
    by_rule = {config.rule: config for config in runs(f"epochs = {epochs}")}
    assert by_rule["linear"].warmup_epochs == warmup
    # It changes no rate of these, so they are the runs that they were.
    assert by_rule["constant"].warmup_epochs == 5.0
    assert {config.warmup_epochs for config in runs(f"epochs = {epochs}\nwarmup_epochs = 0.25")} == {0.25}


def test_a_decay_begins_where_the_warm_up_ends_under_every_rule() -> None:
    assert {config.warmup_epochs for config in runs('epochs = 4\ndecay = "cosine"')} == {2.0}


@pytest.mark.parametrize("name", plan.bundled())
def test_no_arm_of_a_bundled_plan_is_too_short_for_its_rate(name: str) -> None:
    found = expansion.expand(plan.read(name), lambda *_: 48_000, {}).runs
    assert [line for line in to_know(found) if "the peak is never reached" in line] == []
    short = [replace(config, warmup_epochs=5.0) for config in found if config.rule == "linear" and config.epochs < 5]
    assert all(taken_by(line.partition(" (")[0]) == RULE for line in to_know(short)[:1])


@pytest.mark.parametrize(("setting", "message"), [
    ("margin = 0.5", "margin = 0.5 is a fraction, so 50 points of accuracy would count as the same; the most is 0.2. "
                     "If 0.5 points of accuracy are meant, write margin = 0.005"),
    ("margin = 5", "write margin = 0.05"),
    ("margin = 0", "margin = 0 lets nothing count as the same"),
    ("loss_margin = 2", "write loss_margin = 0.02"),
])
def test_a_margin_in_per_cent_is_refused_with_the_fraction(setting: str, message: str) -> None:
    with pytest.raises(PlanError) as error:
        runs(setting=setting)
    assert message in str(error.value)


def test_several_replica_counts_say_what_stays_fixed_over_them() -> None:
    keys = 'kind = "throughput"\nstrategies = ["mirrored"]\nreplicas = [1, 2]'
    assert {config.scaling for config in runs(keys)} == {"strong"}, "the global batches are given"
    assert len(runs(f'{keys}\nscaling = "strong"')) == 12
    assert len(runs(keys.replace("[1, 2]", "[2]"))) == 6


def test_the_whole_study_times_every_batch_that_it_may_recommend_alone_on_one_device_and_on_two() -> None:
    found = expansion.expand(plan.read("keras_batching"), lambda *_: 48_000, {}).runs
    wanted = {(c.model, c.optimizer, c.global_batch) for c in found if c.kind == "accuracy" and c.global_batch < 48_000}
    for strategy, replicas in (("single", 1), ("mirrored", 1), ("mirrored", 2)):
        timed = {(c.model, c.optimizer, c.global_batch) for c in found if c.scaling == "strong"
                 and (c.strategy, c.replicas) == (strategy, replicas)}
        assert wanted <= timed


def test_the_quick_study_has_seeds_enough_to_recommend_a_batch() -> None:
    found = expansion.expand(plan.read("quick"), lambda *_: 48_000, {}).runs
    assert len({config.seed for config in found if config.kind == "accuracy"}) >= 5
