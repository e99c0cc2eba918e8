"""Rates by halving beside all of them trained to the end: how often the one taken is the best of all or next to it.

Six seeds, 8 rates from 0.1 to 10 times what the square-root rule gives. At the end a result falls with the square of
the distance from the best rate in log rate, 5 points a decade, and four times as steeply above it; the best place
is anywhere from a tenth below the lowest rate to a tenth above the highest, in shares of the range. After a part of the
epochs the best rate is another one, by the cell, up to a decade larger, and all results are lower; seeds vary by 0.3
points at the end, which a shorter run of the same seed shares by half, and by the cell, more. Both are compared by the
same seeds. Rates beyond the plan's that halving would try count as lost, as the full grid has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from batchscale.analysis.study.tuning.halving import searched, Tried
from batchscale.analysis.statistics.difference import summarize
from batchscale.analysis.statistics.estimate import Floats
from batchscale.analysis.tables.outcome import ACCURACY
from batchscale.analysis.tables.tuned_rates import in_order, Trial
from batchscale.benchmarks.planning.tuning import Halving, TO_THE_END
from simulation.coverage import Coverage

SEEDS, EPOCHS, TRIALS = 6, 12, 8
DECADES = 2.0  # of the range
FALL, STEEPER = 0.05, 4.0


@dataclass(frozen=True)
class Cell:
    """After which epochs rates are halved, by how many decades the best rate is larger after the first epoch, how seeds
    vary, and how high a second best place is, apart from the first; 0: none."""

    after: tuple[int, ...] = (2, 5)
    shift: float = 0.3
    noise: float = 0.003
    second: float = 0.0


TRUTHS = {"the same best rate at each length": Cell(shift=0.0),
          "larger rates are better early, by 0.3 decades": Cell(),
          "by a decade": Cell(shift=1.0),
          "by a decade, halved after 3 epochs alone": Cell(after=(3,), shift=1.0),
          "by 0.3 decades, three times the noise": Cell(noise=0.009),
          "by 0.3 decades, a second best place, half a point lower": Cell(second=-0.005),
          "by a decade, a second best place, half a point lower": Cell(shift=1.0, second=-0.005)}
CELLS = tuple(TRUTHS)


@dataclass(frozen=True)
class Compared:
    """apart: rates between the one taken and the best of all; worse: validation result lost by that, 0 or more; share:
    epochs trained, of those of all rates with all seeds."""

    apart: int
    worse: float
    share: float


def compared(halving: Halving, at: Callable[[int], Tried], epochs: int) -> Compared:
    """Return what a search takes beside the best of all rates. at: of the first seeds, of so many, each trial at each
    length, those beyond the plan's lost."""
    seeds = halving.counts[-1]
    asked, settled, best = searched(halving, at)
    assert settled == seeds and best is not None
    whole = sorted((at(seeds)[number, TO_THE_END] for number in range(halving.trials)),
                   key=lambda one: one.learning_rate)
    places, top = [one.trial for one in whole], min(whole, key=in_order)
    furthest = {number: max(length or epochs for trial, length in asked if trial == number)
                for number in {trial for trial, _ in asked} if number < halving.trials}
    later = sum(max(count - halving.seeds, 0) for (number, length), count in asked.items()
                if length == TO_THE_END and number < halving.trials)
    trained = halving.seeds * sum(furthest.values()) + epochs * later
    worse = top.outcome.sign * (top.validation.value - best.validation.value)
    return Compared(abs(places.index(top.trial) - places.index(best.trial)), max(worse, 0.0),
                    trained / (halving.trials * seeds * epochs))


def simulate(cell: str, studies: int, seed: int) -> Coverage:
    """Return how often the rate taken is the best of all, or next to it."""
    chance = np.random.default_rng(seed)
    found = [compared(*_study(TRUTHS[cell], chance), EPOCHS) for _ in range(studies)]
    apart, share = (np.array([getattr(one, name) for one in found]) for name in ("apart", "share"))
    worse = max(one.worse for one in found)
    return Coverage(cell, 0.95, float(np.mean(apart <= 1)), float("nan"), studies,
                    f"the best of all in {np.mean(apart == 0):.0%}; at most {100 * worse:.1f} points worse; "
                    f"{np.mean(share):.0%} of the epochs")


def _study(truth: Cell, chance: np.random.Generator) -> tuple[Halving, Callable[[int], Tried]]:
    halving = Halving(truth.after, TRIALS, (3, SEEDS))
    at_end, apart = chance.uniform(-0.1, 1.1), chance.choice([-1, 1]) * chance.uniform(0.35, 0.6)
    places = np.array(halving.places[:TRIALS])
    own = chance.normal(0, truth.noise, (TRIALS, SEEDS))
    values = {}
    for length in halving.stops:
        left = 1 - (length or EPOCHS) / EPOCHS
        best = at_end + truth.shift * left / DECADES
        mean = np.maximum(_fall(places - best), truth.second + _fall(places - best - apart) if truth.second else -1.0)
        drawn = np.sqrt(0.5) * own + np.sqrt(0.5) * chance.normal(0, truth.noise, own.shape) if left else own
        values[length] = 0.9 - 0.1 * left + mean[:, None] + drawn

    @cache
    def at(count: int) -> Tried:
        found = {(number, length): Trial(number, halving.places[number], ACCURACY, ACCURACY.mean(rows[number, :count]),
                                         count, 0, 0, length, summarize(rows[number, :count]).std)
                 for length, rows in values.items() for number in range(TRIALS)}
        return found | {(number, length): Trial(number, halving.places[number], ACCURACY, ACCURACY.mean([]), 0, 1, 0,
                                                length)
                        for length in values for number in range(TRIALS, len(halving.places))}
    return halving, at


def _fall(away: Floats) -> Floats:
    """What is lost at places so far from the best one."""
    return -FALL * (away * DECADES) ** 2 * np.where(away > 0, STEEPER, 1.0)
