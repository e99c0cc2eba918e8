"""A configuration is refused for the first rule it breaks, and identified by everything it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from batchscale.benchmarks.config.strategies import STRATEGIES
from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.runs.derived import derived
from batchscale.benchmarks.runs.run_config import from_json, RunConfig, to_json
from batchscale.benchmarks.schedules.phases import phases

MANY_REPLICAS = [name for name, spec in STRATEGIES.items() if spec.many_replicas]
Make = Callable[..., RunConfig]


def test_it_survives_json(config: Make) -> None:
    made = config(noise_batches=(1, 8), earlier_batches=(32,), decay="piecewise", decay_epochs=(1.0, 1.5))
    assert from_json(json.loads(json.dumps(to_json(made)))) == made


def test_equal_configurations_share_a_run_id_and_any_change_makes_another(config: Make) -> None:
    assert config().run_id == config().run_id
    changes: list[dict[str, Any]] = [{"seed": 1}, {"epochs": 3}, {"jit": True}, {"momentum": 0.8},
                                     {"dataset": "glyphs"}, {"train_subset": 9}]
    assert len({config().run_id, *(config(**change).run_id for change in changes)}) == len(changes) + 1


def test_runs_from_before_there_was_a_choice_stay_the_same_runs(config: Make) -> None:
    """They dropped an epoch's last batch, and their configurations do not say so."""
    old = {name: value for name, value in to_json(config(train_examples=1146)).items() if name != "last_batch"}
    assert from_json(old).last_batch == "drop" and from_json(old).run_id == config(train_examples=1146).run_id
    later = config(train_examples=1146, strategy="mirrored", replicas=2)
    ways: list[dict[str, Any]] = [{"exchange": "groups"}, {"tf32": True}, {"tf32": False}, {"deterministic": True}]
    others = [replace(later, **way) for way in ways]
    assert len({later.digest, *(other.digest for other in others)}) == 5
    assert len({later.shape, *(other.shape for other in others)}) == 5, "what holds for a process is not mixed in one"
    for other in others:
        assert from_json(json.loads(json.dumps(to_json(other)))) == other
    assert from_json(old).settings_digest != config(train_examples=1146, last_batch="keep").settings_digest
    known = RunConfig(experiment="e", kind="accuracy", dataset="digits", model="mlp_128", optimizer="sgd",
                      global_batch=32, train_examples=1146, seed=0)
    assert known.run_id == "e-single-1r-b32-constant-s0-c08ef79e10"


def test_a_kept_last_batch_is_one_more_step_of_an_epoch(config: Make) -> None:
    made = config(global_batch=128, train_examples=1000, epochs=3, last_batch="keep")
    assert (made.steps_per_epoch, made.steps, made.left_over(128)) == (8, 24, 104)
    phase, = phases(made)
    assert [phase.examples_after(step) for step in (0, 7, 8, 9, 24)] == [0, 896, 1000, 1128, 3000]
    assert [phase.last_of(step) for step in (1, 7, 8, 16)] == [0, 0, 104, 104]
    even = config(global_batch=100, train_examples=1000, epochs=3, last_batch="keep")
    assert (even.steps_per_epoch, phases(even)[0].last, phases(even)[0].examples_after(30)) == (10, 0, 3000)


def test_derived_numbers_follow_from_batch_and_examples(config: Make) -> None:
    made = config(global_batch=128, train_examples=1000, epochs=3, rule="linear", base_learning_rate=0.01)
    values = derived(made)
    assert (values["steps_per_epoch"], values["steps"], values["kappa"]) == (7, 21, 4.0)
    assert values["peak_learning_rate"] == pytest.approx(0.04)
    assert values["warmup_steps"] == 35
    assert any("never reached" in flag for flag in values["flags"])


@pytest.mark.parametrize(("change", "message"), [
    ({"strategy": "mirrored", "replicas": 16, "global_batch": 1000},
     "global_batch=1000 is not divisible by 16 replicas; nearest valid: 992 and 1008."),
    ({"last_batch": "kept"}, "Did you mean 'keep'?"),
    ({"last_batch": "keep", "kind": "throughput"}, "whose steps are all of one size; use last_batch='drop'"),
    ({"last_batch": "keep", "rule": "adascale"}, "counts steps of whole batches; use last_batch='drop'"),
    ({"optimizer": "adm"}, "Did you mean 'adam'?"),
    ({"kind": "speed"}, "accuracy, memory, throughput"),
    ({"global_batch": 2000}, "at most 1146"),
    ({"global_batch": 0}, "greater than 0"),
    ({"global_batch": True}, "whole number"),
    ({"base_learning_rate": float("nan")}, "finite"),
    ({"momentum": 1.0}, "below 1"),
    ({"replicas": 2, "global_batch": 32}, f"use {', '.join(MANY_REPLICAS[:-1])} or {MANY_REPLICAS[-1]}"),
    ({"strategy": "horovod", "transport": "nccl"}, "gloo, mpi"),
    ({"transport": "mpi"}, "leave it out"),
    ({"experiment": "../../etc"}, "letters, digits"),
    ({"noise_batches": (600,)}, "half the training examples (573)"),
    ({"exchange": "group"}, "Did you mean 'groups'?"),
    ({"exchange": "groups"}, "has no exchange of gradients; leave it out, or use mirrored, horovod or multiworker"),
    ({"exchange": "groups", "strategy": "mirrored", "jit": True}, "at the end of the compiled function"),
    ({"exchange": "groups", "strategy": "mirrored", "accumulation": 4}, "at the end of the last micro-batch"),
    ({"tf32": "yes"}, "must be true or false"),
    ({"tf32": True, "precision": "mixed_bfloat16"}, "about products of float32"),
    ({"rule": "lineer"}, "'linear'"),
    ({"metrics": (["accuracy"],)}, "a list of texts"),
    ({"metrics": 5}, "a list of texts"),
    ({"seed": -1}, "must not be negative"),
    ({"accumulation": 5}, "not divisible by 1 replicas of 5 micro-batches; nearest valid: 125 and 130."),
    ({"accumulation": 0}, "greater than 0"),
    ({"clip_norm": -1.0}, "must not be negative"),
    ({"weight_decay": 0.1}, "choose one of adamw, lars, lamb"),
    ({"rule": "adam_sqrt"}, "use rule='sqrt', or choose one of adam, adamw"),
    ({"decay": "cosin"}, "Did you mean 'cosine'?"),
    ({"decay": "cosine"}, "set warmup_epochs (0 is allowed) or raise epochs"),
    ({"decay": "piecewise"}, "needs at least one"),
    ({"decay_epochs": (3.0,)}, "belong to decay='piecewise'"),
    ({"decay": "piecewise", "decay_epochs": (3.0, 2.0)}, "ascending"),
    ({"decay": "piecewise", "decay_epochs": (0.0,)}, "above 0"),
    ({"decay": "piecewise", "decay_epochs": (3.0,), "rule": "linear"}, "before the end of the warm-up of 5 epochs"),
])
def test_a_broken_rule_is_named_with_the_value_and_the_choices(config: Make, change: dict[str, Any],
                                                               message: str) -> None:
    with pytest.raises(PlanError) as error:
        config(**change)
    assert message in str(error.value)


def test_unknown_and_missing_keys_are_named(config: Make) -> None:
    with pytest.raises(PlanError, match="epoch.*Did you mean 'epochs'"):
        from_json({**to_json(config()), "epoch": 3})
    with pytest.raises(PlanError, match="incomplete"):
        from_json({"experiment": "sgd"})


def test_accumulation_divides_the_replica_batch(config: Make) -> None:
    made = config(global_batch=128, strategy="mirrored", replicas=2, accumulation=4)
    assert (made.replica_batch, derived(made)["replica_batch"]) == (16, 16)
    assert made.steps_per_epoch == config(global_batch=128).steps_per_epoch


def test_timing_launches_and_memory_runs_get_processes_of_their_own(config: Make) -> None:
    timing = [config(kind="throughput", launch=launch, scaling="weak").shape for launch in (0, 1)]
    memory = [config(kind="memory", global_batch=batch).shape for batch in (32, 64)]
    assert len({*timing, *memory, config().shape}) == 5
    assert config(seed=1).shape == config(seed=2, rule="sqrt").shape


@pytest.mark.parametrize("given", ["resident", "stream"])
def test_examples_on_disk_are_not_asked_to_be_in_memory(config: Callable[..., RunConfig], given: str) -> None:
    with pytest.raises(PlanError, match="read from disk"):
        config(dataset="images:/data", input=given)
    assert config(dataset="images:/data").input == "auto"


def test_arithmetic_that_cannot_be_is_refused_with_what_to_use_instead(config: Callable[..., RunConfig]) -> None:
    with pytest.raises(PlanError, match="leave one of them out"):
        config(jit=True, synchronized_batch_norm=True, strategy="mirrored", replicas=2)
    with pytest.raises(PlanError, match="mixed_bfloat16"):
        config(rule="adascale", precision="mixed_float16")
    assert config(jit=True, synchronized_batch_norm=True).replicas == 1
