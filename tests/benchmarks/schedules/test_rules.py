"""Rates are the formulas: eta(B) by rule, and Goyal's per-iteration warm-up."""

from __future__ import annotations

import doctest
import math
from collections.abc import Callable
from dataclasses import asdict, fields

import numpy as np
import pytest

from batchscale.benchmarks.runs import derived
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.benchmarks.schedules import adam, decays, phases, rates, rules

Make = Callable[..., RunConfig]


@pytest.mark.parametrize("rule,expected", [("constant", 0.01), ("linear", 0.08), ("sqrt", math.sqrt(8) * 0.01),
                                           ("adam_sqrt", math.sqrt(8) * 0.01)])
def test_peak_rates(config: Make, rule: str, expected: float) -> None:
    made = config(rule=rule, global_batch=256, optimizer="adam")
    assert rates.peak_rate(made) == pytest.approx(expected, rel=1e-12)


def test_the_measured_rule_is_a_power_of_the_batch_that_the_plan_names(config: Make) -> None:
    made = config(rule="measured", rate_exponent=0.25, global_batch=512, epochs=10)
    assert rates.peak_rate(made) == pytest.approx(0.02) and rates.warmup_step_count(made) > 1
    assert rates.peak_rate(config(rule="measured", rate_exponent=1.0, global_batch=256)) == pytest.approx(0.08)


def test_runs_that_do_not_follow_a_measured_exponent_are_the_runs_they_were(config: Make) -> None:
    assert "rate_exponent" in {field.name for field in fields(RunConfig)}
    found = {config(rule="measured", rate_exponent=each).run_id for each in (0.25, 0.5)}
    assert len(found) == 2
    values = {name: value for name, value in asdict(config()).items() if name != "rate_exponent"}
    assert RunConfig(**values).run_id == config().run_id


def test_the_powers_that_the_report_compares_with_are_those_of_the_rules(config: Make) -> None:
    for rule, power in rules.POWERS.items():
        assert rates.peak_rate(config(rule=rule, global_batch=512)) == pytest.approx(0.01 * 16 ** power)
    assert len(set(rules.POWERS.values())) == len(rules.POWERS), "what is measured would fit two rules alike"


def test_warm_up_rises_by_iteration_to_the_peak_and_stays(config: Make) -> None:
    made = config(rule="linear", global_batch=64, train_examples=640, warmup_epochs=2.0, epochs=4)
    eta = rates.rates(made)
    t = np.arange(40)
    assert eta.dtype == np.float32 and len(eta) == made.steps == 40
    assert eta == pytest.approx(0.01 + 0.01 * np.minimum(1, (t + 1) / 20), rel=1e-6)


def test_a_tuned_trial_warms_up_from_nothing_to_the_rate_it_tries(config: Make) -> None:
    made = config(rule="tuned", trial=0, base_learning_rate=0.3, global_batch=64, train_examples=640, warmup_epochs=2.0,
                  epochs=4)
    assert rates.rates(made) == pytest.approx(0.3 * np.minimum(1, (np.arange(40) + 1) / 20), rel=1e-6)
    at_reference = config(rule="tuned", trial=0, base_learning_rate=0.3, global_batch=32)
    assert set(rates.rates(at_reference)) == {np.float32(0.3)}


@pytest.mark.parametrize("rule", [name for name, one in rules.RULES.items() if not one.own_reference])
def test_at_the_reference_batch_every_rule_is_the_base_rate(config: Make, rule: str) -> None:
    spec = rules.RULES[rule]
    made = config(rule=rule, global_batch=32, optimizer=next(iter(spec.optimizers), "adam"),
                  **({spec.needs: 0.2} if spec.needs else {}))
    assert set(rates.rates(made)) == {np.float32(0.01)}
    assert adam.adam_constants(made) == adam.AdamConstants(0.9, 0.999, 1e-7)


def test_a_short_warm_up_is_flagged(config: Make) -> None:
    assert any("fewer than 30" in flag for flag in derived.flags(config(rule="linear", global_batch=573, epochs=20)))
    assert derived.flags(config(rule="sqrt", global_batch=573)) == []


def test_adam_sqrt_scales_betas_and_epsilon_as_malladi_et_al(config: Make) -> None:
    # kappa = 4: 1 - beta_1 = 0.4, 1 - beta_2 = 0.004, epsilon = 1e-7 / 2.
    scaled = adam.adam_constants(config(rule="adam_sqrt", optimizer="adam", global_batch=128))
    assert (scaled.beta_1, scaled.beta_2) == pytest.approx((0.6, 0.996), rel=1e-12)
    assert scaled.epsilon == pytest.approx(5e-8, rel=1e-12)
    assert adam.adam_constants(config(rule="sqrt", optimizer="adam", global_batch=128)) == adam.AdamConstants()


@pytest.mark.parametrize(("kappa", "zero"), [(9, []), (10, ["beta_1"]), (1000, ["beta_1", "beta_2"])])
def test_adam_sqrt_is_flagged_where_a_beta_would_fall_to_0(config: Make, kappa: int, zero: list[str]) -> None:
    made = config(rule="adam_sqrt", optimizer="adamw", reference_batch=1, global_batch=kappa)
    constants = adam.adam_constants(made)
    assert [name for name in ("beta_1", "beta_2") if getattr(constants, name) == 0.0] == zero
    assert [name for name in ("beta_1", "beta_2") if any(name in flag for flag in derived.flags(made))] == zero


@pytest.mark.parametrize(("decay", "expected"), [
    ({"decay": "piecewise", "decay_epochs": (3, 4.5), "decay_factor": 0.1}, [1, 1, 1, 0.1, 0.1, 0.01]),
    ({"decay": "cosine"}, [1, 1, 1, (1 + math.cos(math.pi / 4)) / 2, 0.5, (1 + math.cos(3 * math.pi / 4)) / 2]),
    ({"decay": "polynomial", "decay_power": 2.0}, [1, 1, 1, 0.75**2, 0.5**2, 0.25**2]),
])
@pytest.mark.parametrize("batch", [32, 64, 320])
@pytest.mark.parametrize("rule", ["constant", "linear"])
def test_decay_falls_by_epochs_alike_at_every_batch_and_rule(config: Make, decay: dict[str, object],
                                                             expected: list[float], batch: int, rule: str) -> None:
    made = config(rule=rule, global_batch=batch, train_examples=640, warmup_epochs=2.0, epochs=6, **decay)
    plain = config(rule=rule, global_batch=batch, train_examples=640, warmup_epochs=2.0, epochs=6)
    starts = slice(None, None, made.steps_per_epoch)
    assert (rates.rates(made) / rates.rates(plain))[starts] == pytest.approx(expected, rel=1e-6)


def test_decay_ends_at_zero_after_the_last_step_and_leaves_timing_alone(config: Make) -> None:
    made = config(decay="cosine", warmup_epochs=0.0, epochs=10)
    eta = rates.rates(made)
    assert np.all(np.diff(eta) < 0) and 0 < eta[-1] < 1e-3 * eta[0]
    timing = config(kind="throughput", decay="cosine", warmup_epochs=0.0)
    assert rates.rates(timing, 1) == pytest.approx([0.01])


def test_a_decay_after_the_end_is_flagged(config: Make) -> None:
    made = config(decay="piecewise", decay_epochs=(1.0, 30.0), epochs=10)
    assert any("decay at epoch 30 never comes" in flag for flag in derived.flags(made))


def test_evaluation_points_are_powers_of_two_and_epoch_ends(config: Make) -> None:
    assert phases.evaluation_steps(10, 3) == [1, 2, 4, 8, 10, 20, 30]
    assert phases.evaluation_steps(1, 10) == list(range(1, 11))
    phase = phases.phases(config(global_batch=128, train_examples=1280, epochs=2))[0]
    parts = phases.segments(phase)
    assert parts[0] == (0, 1) and parts[-1][1] == 20
    assert all(stop == start for (_, stop), (start, _) in zip(parts, parts[1:]))
    assert all(start // 10 == (stop - 1) // 10 for start, stop in parts), "no segment crosses the end of an epoch"


def test_examples_in_docstrings() -> None:
    for module in (decays, rules, phases):
        assert doctest.testmod(module).failed == 0
