"""The exponent of best rate ~ batch^a, fitted to tuned batches and shrunk towards what theory says of the optimizer.

The best rates lie on the line of a known exponent with a scatter of 10 %; a result falls gently and rises steeply about
its own, 2 (exp u - 1 - u) in log rate. Eight rates are tried at each batch where a plan would try them, 0.1 to 10 times
what the square-root rule gives, and the mean result of a rate varies by a fifth of what a factor of e costs near the
best, or by what the cell says. Width in multiples of the truth, or as it is where that is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from batchscale.analysis.laws.rates.best_rate import best_rates, TriedRate
from batchscale.analysis.laws.rates.exponent import ExponentPrior, fit_rate_law, FOR_ADAM, FOR_GRADIENT
from batchscale.benchmarks.planning.tuning import trial_rates
from simulation.coverage import covered, Coverage

REFERENCE, BASE_RATE = 32, 0.01


@dataclass(frozen=True)
class Cell:
    """A known exponent, what is believed before, where and how rates are tried, and how much results vary."""

    exponent: float
    prior: ExponentPrior
    batches: tuple[int, ...] = (32, 128, 512, 2048)
    search: tuple[float, float] = (0.1, 10.0)
    trials: int = 8
    noise: float = 0.1
    scatter: float = 0.1
    seeds: int = 0


TRUTHS = {"Adam, a 0": Cell(0.0, FOR_ADAM), "Adam, a 0.25": Cell(0.25, FOR_ADAM), "Adam, a 0.5": Cell(0.5, FOR_ADAM),
          "SGD, a 0": Cell(0.0, FOR_GRADIENT), "SGD, a 0.5": Cell(0.5, FOR_GRADIENT),
          "SGD, a 1": Cell(1.0, FOR_GRADIENT),
          "Adam, a 0.5, three batches": Cell(0.5, FOR_ADAM, (32, 128, 512)),
          "SGD, a 1, three batches": Cell(1.0, FOR_GRADIENT, (32, 128, 512)),
          "SGD, a 1, six batches": Cell(1.0, FOR_GRADIENT, (32, 64, 128, 256, 512, 1024)),
          "SGD, a 1, 0.25 to 4 times, best rates at the edge": Cell(1.0, FOR_GRADIENT, search=(0.25, 4.0)),
          "Adam, a 0, 0.25 to 4 times, best rates at the edge": Cell(0.0, FOR_ADAM, search=(0.25, 4.0)),
          "Adam, a 0.25, twice the noise": Cell(0.25, FOR_ADAM, noise=0.2),
          "SGD, a 1, four times the noise": Cell(1.0, FOR_GRADIENT, noise=0.4),
          "SGD, a 0.5, five rates, their errors known": Cell(0.5, FOR_GRADIENT, trials=5, seeds=6),
          "SGD, a 0.5, scatter of 30 %": Cell(0.5, FOR_GRADIENT, scatter=0.3)}
CELLS = tuple(TRUTHS)


def simulate(cell: str, studies: int, seed: int) -> Coverage:
    """Return how often the interval of the shrunk exponent holds the one that the best rates were made with."""
    truth, chance = TRUTHS[cell], np.random.default_rng(seed)
    laws = [fit_rate_law(best_rates(_tried(truth, chance)), truth.prior) for _ in range(studies)]
    known = [law.exponent for law in laws if law]
    none = f"too few best rates inside in {1 - len(known) / studies:.0%}" if len(known) < studies else ""
    shift = 1.0 - truth.exponent  # coverage counts in multiples of the truth, which 0 has not
    by = shift if not truth.exponent else 0.0
    return covered(cell, truth.exponent + by, [each.value + by for each in known], [each.low + by for each in known],
                   [each.high + by for each in known], note=none)


def _tried(cell: Cell, chance: np.random.Generator) -> list[TriedRate]:
    middle, found = math.log(BASE_RATE) + chance.uniform(-0.7, 0.7), []
    for batch in cell.batches:
        kappa = batch / REFERENCE
        best = middle + cell.exponent * math.log(kappa) + chance.normal(0, cell.scatter)
        for rate in trial_rates(BASE_RATE * math.sqrt(kappa), cell.trials, cell.search):
            away = math.log(rate) - best
            value = 2 * (math.exp(away) - 1 - away)
            error = math.nan
            if cell.seeds:
                error = cell.noise * math.sqrt(chance.chisquare(cell.seeds - 1) / (cell.seeds - 1))
            found.append(TriedRate(batch, rate, value + chance.normal(0, cell.noise), error))
    return found
