"""The rules that need a measured or chosen number, and what a plan is told without it. Expected: the formulas."""

from __future__ import annotations

import doctest
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.planning import expansion, plan
from batchscale.benchmarks.runs.derived import derived, flags, instability
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.benchmarks.schedules import phases, rules, stability
from batchscale.benchmarks.schedules.rates import peak_rate, rates, warmup_step_count
from batchscale.benchmarks.schedules.stability import weight_kept_per_epoch

Make = Callable[..., RunConfig]
EXAMPLES = 48_000


@pytest.mark.parametrize("batch", [32, 64, 256, 4096])
@pytest.mark.parametrize("noise", [10.0, 256.0, 5000.0])
def test_noise_scale_rule_is_mccandlish_et_al(config: Make, batch: int, noise: float) -> None:
    # eta_max / (1 + Bn / B) with eta_max = eta0 (1 + Bn / B0), equation 2.11 of arXiv:1812.06162.
    made = config(rule="noise_scale", noise_scale=noise, global_batch=batch, train_examples=EXAMPLES)
    assert peak_rate(made) == pytest.approx(0.01 * (1 + noise / 32) / (1 + noise / batch), rel=1e-12)
    assert 0.01 <= peak_rate(made) <= 0.01 * min(made.kappa, 1 + noise / 32) * (1 + 1e-12)


@pytest.mark.parametrize("batch", [32, 64, 256, 4096])
def test_surge_rule_is_li_et_al(config: Make, batch: int) -> None:
    # eta_max / (0.5 (sqrt(Bn / B) + sqrt(B / Bn))) of arXiv:2405.14578, with eta_max so that eta(32) = 0.01.
    noise = 256.0
    most = 0.01 * 0.5 * (math.sqrt(noise / 32) + math.sqrt(32 / noise))
    made = config(rule="surge", noise_scale=noise, optimizer="adam", global_batch=batch, train_examples=EXAMPLES)
    expected = most / (0.5 * (math.sqrt(noise / batch) + math.sqrt(batch / noise)))
    assert peak_rate(made) == pytest.approx(expected, rel=1e-12)
    assert peak_rate(made) <= most * (1 + 1e-12), "the peak is at B = Bn"


def test_surge_falls_again_beyond_the_noise_scale(config: Make) -> None:
    peaks = {batch: peak_rate(config(rule="surge", noise_scale=256.0, optimizer="adamw", global_batch=batch,
                                     train_examples=EXAMPLES)) for batch in (64, 128, 256, 512, 1024)}
    assert max(peaks, key=lambda batch: peaks[batch]) == 256
    assert peaks[128] == pytest.approx(peaks[512]) and peaks[64] == pytest.approx(peaks[1024])


def test_legw_warms_up_kappa_times_as_many_epochs_to_sqrt_kappa_times_the_rate(config: Make) -> None:
    # You et al. 2019: sqrt(4) eta0 after 4 * 0.5 epochs of 10 steps.
    made = config(rule="legw", legw_epochs=0.5, global_batch=128, train_examples=1280, epochs=4)
    t = np.arange(40)
    assert warmup_step_count(made) == 20
    assert rates(made) == pytest.approx(0.01 + 0.01 * np.minimum(1, (t + 1) / 20), rel=1e-6)


def test_legw_keeps_the_steps_of_its_warm_up_at_every_batch(config: Make) -> None:
    # kappa times the epochs of 1 / kappa as many steps.
    counts = {warmup_step_count(config(rule="legw", legw_epochs=0.25, global_batch=batch, epochs=40,
                                       train_examples=40_960)) for batch in (64, 128, 1024, 4096)}
    assert counts == {320}


@pytest.mark.parametrize("rule,extra", [("legw", {"legw_epochs": 1.0}), ("noise_scale", {"noise_scale": 100.0}),
                                        ("surge", {"noise_scale": 100.0}), ("adascale", {}),
                                        ("measured", {"rate_exponent": 0.3})])
def test_at_the_reference_batch_they_are_the_base_rate(config: Make, rule: str, extra: dict[str, float]) -> None:
    made = config(rule=rule, global_batch=32, optimizer="adam" if rule == "surge" else "sgd", **extra)
    assert set(rates(made)) == {np.float32(0.01)}


@pytest.mark.parametrize("changes,message", [
    ({"rule": "legw"}, "needs legw_epochs, the epochs of warm-up that the reference batch trains with"),
    ({"rule": "noise_scale"}, "noise_batches = .* section 'Gradient noise'"),
    ({"rule": "measured"}, "needs rate_exponent, the exponent a .* rules = \\['tuned'\\] .* 'How the best rate grows"),
    ({"rule": "sqrt", "rate_exponent": 0.3}, "rate_exponent=0.3 has no meaning for rule='sqrt'"),
    ({"rate_exponent": -0.1}, "must not be negative"),
    ({"rule": "surge", "optimizer": "adam"}, "rule='surge' needs noise_scale, the gradient noise scale"),
    ({"rule": "surge", "noise_scale": 9.0}, "optimizer='sgd' is none; use rule='noise_scale', or choose one of adam"),
    ({"rule": "adam_sqrt"}, "optimizer='sgd' has not; use rule='sqrt'"),
    ({"rule": "linear", "noise_scale": 9.0}, "noise_scale=9 has no meaning for rule='linear'"),
    ({"rule": "legw", "legw_epochs": 1.0, "global_batch": 512, "epochs": 10},
     "16 epochs at global_batch=512.*longer than the run of 10; the largest batch that fits is 320.*epochs to 16"),
    ({"rule": "adascale"}, "one at global_batch=128; set accumulation = 4, or use more replicas"),
    ({"rule": "adascale", "global_batch": 48}, "set accumulation = 3"),
    ({"rule": "adascale", "global_batch": 16, "accumulation": 2}, "scales up from reference_batch=32"),
    ({"rule": "adascale", "optimizer": "lars", "accumulation": 4}, "choose one of sgd, momentum, nesterov"),
    ({"rule": "adascale", "kind": "throughput", "accumulation": 4}, "belongs to kind='accuracy'"),
    ({"sharpness_examples": 999}, "a whole number from 1000 to the training examples"),
    ({"sharpness_examples": 1147}, "a whole number from 1000 to the training examples \\(1146\\)"),
    ({"noise_scale": -1.0}, "must not be negative"),
])
def test_what_a_rule_lacks_is_told_with_the_fix(config: Make, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        config(**changes)


def test_the_longest_warm_up_that_fits_is_allowed(config: Make) -> None:
    assert config(rule="legw", legw_epochs=1.0, global_batch=320, epochs=10).steps == 30


def test_a_plan_gives_each_rule_its_number_alone() -> None:
    text = """
        [plan]
        name = "rules"
        [[experiment]]
        name = "adam"
        dataset = "digits"
        model = "mlp_128"
        optimizer = "adam"
        global_batches = [32, 128]
        rules = ["constant", "legw", "noise_scale", "surge", "measured", "tuned"]
        noise_scale = 200
        rate_exponent = 0.3
        legw_epochs = 0.5
        sharpness_examples = 1000
        trials = 3
        seeds = 1
    """
    runs = [c for c in expansion.expand(plan.parse(text), lambda *_: 1146, {}).runs if c.kind == "accuracy"]
    given = {(c.rule, c.global_batch): (c.noise_scale, c.legw_epochs) for c in runs}
    assert given == {("constant", 32): (0, 0), ("constant", 128): (0, 0), ("legw", 128): (0, 0.5),
                     ("noise_scale", 128): (200, 0), ("surge", 128): (200, 0), ("measured", 128): (0, 0),
                     ("tuned", 32): (0, 0), ("tuned", 128): (0, 0)}
    assert {c.sharpness_examples for c in runs} == {1000}
    assert {c.rule: c.rate_exponent for c in runs if c.rate_exponent} == {"measured": 0.3}


def test_adascale_trains_at_most_the_steps_of_the_reference_batch(config: Make) -> None:
    made = config(rule="adascale", global_batch=128, accumulation=4, epochs=3)
    assert made.steps == 3 * (1146 // 32) == derived(made)["steps"]
    phase, = phases.phases(made)
    assert phase.steps_per_epoch == 8 and phase.epochs == 14 and phase.steps >= made.steps
    assert len(rates(made, phase.steps)) == made.steps, "the reference batch's rates"


@pytest.mark.parametrize("optimizer,bound", [("sgd", 2.0), ("momentum", 3.8), ("nesterov", 3.8 / 2.8), ("adam", None),
                                             ("lars", None)])
def test_the_bound_of_stability_is_where_a_quadratic_starts_to_diverge(config: Make, optimizer: str,
                                                                       bound: float | None) -> None:
    made = config(optimizer=optimizer, momentum=0.9)
    assert stability.stability_bound(optimizer, 0.9) == (bound if bound is None else pytest.approx(bound))
    if bound is None:
        assert instability(made, 1.0, 1e9) == ""
        return
    assert simulated(optimizer, 0.9, 0.99 * bound) < 1 < simulated(optimizer, 0.9, 1.01 * bound)
    assert instability(made, 0.01, 99 * bound) == ""
    told = f"is {1.01 * bound:.3g} at the end, beyond the {bound:.3g}"
    assert told in instability(made, 0.01, 101 * bound)


def simulated(optimizer: str, m: float, rate: float) -> float:
    """|w| after 3,000 steps from 1 on w^2 / 2 with the suite's updates: u <- m u + g."""
    w, u = 1.0, 0.0
    for _ in range(3000):
        g = w
        u = (m if optimizer != "sgd" else 0.0) * u + g
        w -= rate * (g + m * u if optimizer == "nesterov" else u)
    return abs(w)


def test_what_decay_leaves_of_a_weight_after_an_epoch(config: Make) -> None:
    # Applied step by step: 8 steps of w <- w - eta wd w; N / B counts the part of a batch at the end, too.
    made = config(optimizer="adamw", weight_decay=0.5, rule="sqrt", train_examples=1024)
    weight = 1.0
    for _ in range(8):
        weight -= 0.02 * 0.5 * weight
    assert weight_kept_per_epoch(made) == pytest.approx(weight, rel=1e-12)
    assert derived(made)["weight_kept_per_epoch"] == pytest.approx(weight, rel=1e-12)
    assert weight_kept_per_epoch(config(optimizer="lars", weight_decay=0.5, rule="sqrt")) is None
    assert weight_kept_per_epoch(config()) is None


def test_its_logarithm_is_kept_by_the_linear_rule_and_shrinks_under_the_others(config: Make) -> None:
    def log_kept(rule: str, batch: int) -> float:
        kept = weight_kept_per_epoch(config(optimizer="adamw", weight_decay=0.004, rule=rule, global_batch=batch,
                                            base_learning_rate=0.001, train_examples=EXAMPLES))
        assert kept is not None
        return math.log(kept)

    for rule, power in (("linear", 0.0), ("sqrt", -0.5), ("constant", -1.0)):
        assert log_kept(rule, 1024) / log_kept(rule, 64) == pytest.approx(16.0**power, rel=1e-3)


def test_flags_of_decay_that_begins_before_the_peak(config: Make) -> None:
    made = config(rule="legw", legw_epochs=2.0, global_batch=128, decay="cosine", warmup_epochs=2.0, epochs=10)
    assert any("before the warm-up of 8 epochs ends" in flag for flag in flags(made))


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(rules).failed == 0
