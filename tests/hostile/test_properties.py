"""What holds for every plan, configuration and record, not only for those that somebody thought of."""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.synthetic_records import record_for

from batchscale.benchmarks.data import epoch_order, replica_examples, split_sizes
from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.planning import expansion, plan, selection
from batchscale.benchmarks.records.json_files import content_hash
from batchscale.benchmarks.records.run_folder import Run
from batchscale.benchmarks.records.schema import problems
from batchscale.benchmarks.records.seal import sealed
from batchscale.benchmarks.records.store import FOLDER, Store
from batchscale.benchmarks.runs.run_config import from_json, RunConfig, to_json
from batchscale.benchmarks.schedules import rates as schedules_rates, rules
from batchscale.benchmarks.schedules.phases import evaluation_steps, phases, segments

# The same examples on every machine and every day; none is kept in a folder.
FIXED = settings(derandomize=True, deadline=None, database=None, max_examples=60,
                 suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
POWER_RULES = ("constant", "sqrt", "linear")
EXAMPLES = 1146

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.]{0,20}", fullmatch=True)
json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
                           lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner,
                                                                                       max_size=4), max_leaves=20)


@st.composite
def configs(draw: st.DrawFn) -> RunConfig:
    """Any valid configuration of moderate size."""
    replicas = draw(st.integers(1, 8))
    strategy = "single" if replicas == 1 else draw(st.sampled_from(["mirrored", "horovod"]))
    batches = draw(st.lists(st.integers(1, 64).map(lambda n: n * replicas), min_size=1, max_size=3))
    examples = draw(st.integers(max(*batches, 2), 3000))
    return RunConfig(
        experiment=draw(names), kind=draw(st.sampled_from(["accuracy", "throughput", "memory"])), dataset="digits",
        model="mlp_128", optimizer=draw(st.sampled_from(["sgd", "momentum", "adam"])), global_batch=batches[-1],
        earlier_batches=tuple(batches[:-1]), train_examples=examples, seed=draw(st.integers(0, 2**32 - 1)),
        rule=draw(st.sampled_from(POWER_RULES)), base_learning_rate=draw(st.floats(1e-6, 10)),
        reference_batch=draw(st.integers(1, 512)), warmup_epochs=draw(st.floats(0, 5)), epochs=draw(st.integers(1, 4)),
        strategy=strategy, transport="gloo" if strategy == "horovod" else "", replicas=replicas,
        noise_batches=tuple(draw(st.lists(st.integers(1, examples // 2), max_size=2))))


@FIXED
@given(configs())
def test_a_configuration_survives_json_and_its_id_names_a_folder(config: RunConfig) -> None:
    again = from_json(json.loads(json.dumps(to_json(config))))
    assert again == config and again.run_id == config.run_id
    assert FOLDER.fullmatch(config.run_id) and config.run_id.endswith(config.digest)


@FIXED
@given(configs(), configs(), st.integers(1, 2**31))
def test_run_ids_are_equal_exactly_when_configurations_are(one: RunConfig, other: RunConfig, more: int) -> None:
    assert (one.run_id == other.run_id) == (one == other)
    assert replace(one, seed=(one.seed + more) % 2**32).run_id != one.run_id


@FIXED
@given(configs())
def test_rates_go_from_the_base_to_the_peak_and_stay_between(config: RunConfig) -> None:
    rates, peak = schedules_rates.rates(config), schedules_rates.peak_rate(config)
    assert rates.dtype == np.float32 and rates.shape == (config.steps,)
    low, high = sorted((config.base_learning_rate, peak))
    assert np.all(rates >= np.float32(low) * (1 - 1e-6)) and np.all(rates <= np.float32(high) * (1 + 1e-6))
    step = np.diff(rates.astype(np.float64)) * (1 if peak >= config.base_learning_rate else -1)
    assert np.all(step >= -1e-6 * high)
    if config.steps >= max(schedules_rates.warmup_step_count(config), 1):
        assert math.isclose(rates[-1], peak, rel_tol=1e-6)


@FIXED
@given(st.sampled_from(POWER_RULES), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_a_rule_composes_and_is_the_base_rate_at_the_reference_batch(name: str, one: float, other: float) -> None:
    def factor(kappa: float) -> float:
        return rules.RULES[name].factor(cast(RunConfig, SimpleNamespace(kappa=kappa)))

    assert factor(1.0) == 1.0
    assert math.isclose(factor(one * other), factor(one) * factor(other), rel_tol=1e-9)


@FIXED
@given(st.integers(1, 2000), st.integers(1, 20))
def test_evaluations_ascend_reach_the_end_and_include_every_epoch(per_epoch: int, epochs: int) -> None:
    steps = evaluation_steps(per_epoch, epochs)
    assert steps == sorted(set(steps)) and steps[-1] == per_epoch * epochs
    assert steps[0] == 1 or per_epoch / 128 < steps[0] <= per_epoch / 64
    assert {per_epoch * epoch for epoch in range(1, epochs + 1)} <= set(steps)


@FIXED
@given(configs())
def test_segments_tile_a_phase_and_none_crosses_the_end_of_an_epoch(config: RunConfig) -> None:
    for phase in phases(config):
        parts = segments(phase)
        assert [start for start, _ in parts] == [0, *(stop for _, stop in parts[:-1])]
        assert parts[-1][1] == phase.steps
        for start, stop in parts:
            assert start < stop and start // phase.steps_per_epoch == (stop - 1) // phase.steps_per_epoch


@FIXED
@given(st.integers(0, 2**32 - 1), st.integers(0, 50), st.integers(1, 8), st.integers(1, 40), st.data())
def test_shards_of_an_epoch_are_disjoint_and_the_same_for_every_number_of_replicas(
        seed: int, epoch: int, replicas: int, n: int, data: st.DataObject) -> None:
    batch = replicas * n
    examples = data.draw(st.integers(batch, 2000))
    order = epoch_order(seed, epoch, examples)
    assert np.array_equal(np.sort(order), np.arange(examples))
    steps = range(examples // batch)
    parts = [replica_examples(order, step, batch, r, replicas) for step in steps for r in range(replicas)]
    assert all(len(part) == n for part in parts)
    assert np.array_equal(np.concatenate(parts), order[:len(steps) * batch])


@FIXED
@given(st.integers(2, 10**7), st.floats(0, 0.99))
def test_a_split_misses_nothing(examples: int, fraction: float) -> None:
    assume(round(fraction * examples) < examples)
    train, validation = split_sizes(examples, fraction)
    assert train + validation == examples and train > 0
    assert abs(validation - fraction * examples) <= 0.5 + 1e-6


def expand(text: str, unavailable: dict[str, str] | None = None) -> expansion.Expansion:
    return expansion.expand(plan.parse(text), lambda dataset, fraction: EXAMPLES, unavailable or {})


def toml(first_seed: int, experiments: list[dict[str, Any]]) -> str:
    """A plan's text; lists, numbers and texts of JSON are TOML's too."""
    lines = ['[plan]', 'name = "mine"', f"first_seed = {first_seed}"]
    for index, values in enumerate(experiments):
        lines += ["[[experiment]]", f'name = "e{index}"', 'dataset = "digits"', 'model = "mlp_128"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines)


def with_reference(values: dict[str, Any]) -> dict[str, Any]:
    """The experiment, with its reference batch among its batches, as a plan must have it."""
    return {**values, "global_batches": list(dict.fromkeys([*values["global_batches"], values["reference_batch"]]))}


def can_be_had(values: dict[str, Any]) -> bool:
    """Several replicas under single are refused."""
    return set(values["replicas"]) == {1} or set(values["strategies"]) != {"single"}


accuracy: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({
    "global_batches": st.lists(st.integers(1, 140).map(lambda n: 8 * n), min_size=1, max_size=4, unique=True),
    "rules": st.lists(st.sampled_from(POWER_RULES), min_size=1, max_size=3, unique=True),
    "seeds": st.integers(1, 3), "reference_batch": st.sampled_from([8, 32, 64]),
    "replicas": st.lists(st.sampled_from([1, 2, 4]), min_size=1, max_size=2, unique=True),
    "strategies": st.lists(st.sampled_from(["single", "mirrored", "horovod"]), min_size=1, max_size=3, unique=True),
}).map(with_reference).filter(can_be_had)
timing: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({
    "kind": st.just("throughput"), "replica_batches": st.lists(st.integers(1, 100), min_size=1, max_size=3),
    "launches": st.integers(1, 3), "strategies": st.just(["mirrored"]), "replicas": st.just([1, 2])})
plans = st.builds(toml, st.integers(0, 1000), st.lists(accuracy | timing, min_size=1, max_size=3))


@FIXED
@given(plans)
def test_expanding_gives_every_run_once_in_a_fixed_order(text: str) -> None:
    runs = expand(text).runs
    assert [c.run_id for c in runs] == [c.run_id for c in expand(text).runs]
    assert len({c.run_id for c in runs}) == len(runs)
    kinds = [c.kind for c in runs if c.experiment != "drift_guard"]
    assert kinds == sorted(kinds, reverse=True), "throughput, then accuracy"
    assert Counter(c.experiment for c in runs)["drift_guard"] == (2 if "accuracy" in kinds else 0)


@FIXED
@given(st.integers(0, 100), accuracy)
def test_accuracy_runs_are_the_product_with_the_reference_shared(first: int, values: dict[str, Any]) -> None:
    runs = [c for c in expand(toml(first, [values])).runs if c.kind == "accuracy"]
    places = sum(1 for strategy in values["strategies"] for r in values["replicas"] if strategy != "single" or r == 1)
    arms = sum(1 if batch == values["reference_batch"] else len(values["rules"]) for batch in values["global_batches"])
    assert len(runs) == places * arms * values["seeds"]
    assert {c.seed for c in runs} <= set(range(first, first + values["seeds"]))


@FIXED
@given(plans, st.sets(st.sampled_from(["mirrored", "horovod-mpi", "horovod-gloo", "2 replicas", "4 replicas"])))
def test_what_a_machine_lacks_only_takes_runs_away_and_is_named(text: str, lacking: set[str]) -> None:
    here = expand(text, {name: "absent" for name in lacking})
    # Without MPI the same runs are done with Gloo.
    possible, found = ({replace(c, transport="gloo" if c.transport else "") for c in runs
                        if c.experiment != "drift_guard"} for runs in (expand(text).runs, here.runs))
    assert found <= possible
    assert bool(here.skipped) == (found != possible)
    assert all(skip.reason == "absent" for skip in here.skipped)


@FIXED
@given(st.text(max_size=200))
def test_any_text_is_a_plan_or_one_clear_error(text: str) -> None:
    for parse in (plan.parse, selection.parse):
        try:
            parse(text)
        except PlanError as error:
            assert str(error)


@FIXED
@given(json_values)
def test_any_json_value_is_judged_without_an_exception(value: Any) -> None:
    assert problems(value)
    try:
        from_json({"experiment": "x", "kind": value, "dataset": value, "model": "m", "optimizer": "sgd",
                   "global_batch": value, "train_examples": 10, "seed": 0, "noise_batches": value})
    except PlanError as error:
        assert str(error)


@settings(FIXED, max_examples=25)
@given(configs(), st.dictionaries(st.text(max_size=8), json_values, max_size=3))
def test_a_record_comes_back_as_it_was_written(config: RunConfig, environment: dict[str, Any]) -> None:
    record = {**record_for(config), "environment": environment}
    with tempfile.TemporaryDirectory() as folder:
        run = finished(Path(folder), config, record)
        assert run.record() == sealed(record)
        assert {k: v for k, v in sealed(record).items() if k not in ("content_hash", "environment")} == \
            json.loads(json.dumps({k: v for k, v in record.items() if k != "environment"}))


@FIXED
@given(st.dictionaries(st.text(max_size=8), json_values, min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_hash_does_not_depend_on_the_order_of_keys(value: dict[str, Any], chance: Any) -> None:
    keys = list(value)
    chance.shuffle(keys)
    assert content_hash({key: value[key] for key in keys}) == content_hash(value)


@settings(FIXED, max_examples=25)
@given(st.data())
def test_a_record_with_any_byte_changed_is_the_same_or_not_believed(data: st.DataObject) -> None:
    config = RunConfig(experiment="sgd", kind="accuracy", dataset="digits", model="mlp_128", optimizer="sgd",
                       global_batch=128, train_examples=EXAMPLES, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        run = finished(Path(folder), config, record_for(config))
        whole, before = run.record_path.read_bytes(), run.record()
        for _ in range(10):
            at, byte = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
            run.record_path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1:])
            record, wrong = run.examine()
            assert wrong or record == before


def finished(folder: Path, config: RunConfig, record: dict[str, Any]) -> Run:
    store = Store(folder / "mine")
    store.prepare([config], {})
    [run] = store.runs()
    attempt = run.claim()
    assert attempt is not None
    run.finish(attempt, record)
    return run
