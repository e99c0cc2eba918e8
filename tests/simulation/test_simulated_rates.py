"""Best rates with a known exponent: intervals that hold it, and a measured rule for settings that were left out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from batchscale.benchmarks.schedules.rules import POWERS
from simulation import best_rates, halved, halving, left_out
from simulation.table import SEED
from support.synthetic_records import results, SGD, Study, Tuning


@pytest.mark.parametrize("cell", ["Adam, a 0.25", "SGD, a 1, three batches"])
def test_a_few_studies_hold_the_exponent(cell: str) -> None:
    found = best_rates.simulate(cell, 8, SEED)
    assert found.seen >= 6 / 8 and found.width < 2


@pytest.mark.slow
@pytest.mark.parametrize("cell", best_rates.CELLS)
def test_intervals_hold_the_exponent(cell: str) -> None:
    found = best_rates.simulate(cell, 300, SEED)
    assert found.seen >= 0.92, found


def table(path: Path, exponents: list[float]) -> Path:
    """Settings whose best rates grow with these exponents, in a file as of runs that others made."""
    chance, lines = np.random.default_rng(SEED), ["model,batch,rate,loss"]
    for setting, exponent in enumerate(exponents):
        for batch in (32, 128, 512, 2048):
            best = math.log(0.01) + exponent * math.log(batch / 32) + chance.normal(0, 0.05)
            for rate in 0.01 * 2.0 ** np.arange(-6, 7):
                away = math.log(rate) - best
                lines.append(f"m{setting},{batch},{rate},{3 + 0.1 * away ** 2 + chance.normal(0, 0.002)}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("exponents", "kept"), [([0.2, 0.25, 0.3, 0.35], True), ([0.0, 1.0, 0.0, 1.0, 1.0], False)])
def test_a_setting_left_out_is_served_by_settings_like_it_and_not_by_others(
        tmp_path: Path, exponents: list[float], kept: bool) -> None:
    settings = left_out.read(table(tmp_path / "runs.csv", exponents), ["model"], "batch", "rate", "loss")
    found = list(left_out.regrets(settings, dict(left_out.left_out(settings))))
    assert len(found) == len(exponents) * 6 * (len(POWERS) + 1) and left_out.holds(found) is kept
    by_rule = {rule: left_out.mean_regret(found, rule, 8.0, 32.0) for rule in (*POWERS, left_out.MEASURED)}
    assert (min(by_rule, key=lambda rule: by_rule[rule]) == left_out.MEASURED) is kept


@pytest.mark.parametrize("cell", ["the same best rate at each length", "by a decade"])
def test_a_few_searches_by_halving_take_the_best_rate_or_the_next(cell: str) -> None:
    found = halving.simulate(cell, 12, SEED)
    assert found.seen >= 10 / 12, found


@pytest.mark.slow
@pytest.mark.parametrize("cell", halving.CELLS[:5])
def test_halving_takes_the_best_rate_or_the_next(cell: str) -> None:
    found = halving.simulate(cell, 300, SEED)
    assert found.seen >= 0.95 - 2 * found.standard_error, found


def test_real_tuned_arms_are_searched_again_by_halving() -> None:
    tuned = replace(SGD, batches=(32,), noise_batches=(), tuning=Tuning(best={32: 2.0}))
    of = results(Study(experiments=(tuned,), timing=None, memory=None, noise=1e-4, seeds=4))
    found = list(halved.searches(of, (2, 5)))
    assert len(found) == 4 and {one.found.apart for one in found} == {0}
    assert all(0.3 < one.found.share < 0.6 and not one.found.worse for one in found)
    assert "4 searches: the best rate of all in 100%" in halved.summary(found)
