"""Steps to a target of runs by seed and batch: steps(B) = S_min (1 + B_crit/B), with runs that never passed.

A run's log steps are its seed's level + log(1 + B_crit/B) + normal error. A run that had not passed when it ended is
right-censored there, and one that had passed at its first evaluation left-censored: both count in the likelihood with
the probability of what was seen. At a given B_crit that likelihood has one maximum, so that B_crit alone is searched
for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from ...benchmarks.errors import RecordError
from ..statistics.curve_fit import LACK_OF_FIT
from ..statistics.distributions import f_above
from ..statistics.estimate import exp, LEVEL, Estimate, Floats, t_critical, unknown, without_interval
from .censored_normal import CensoredNormal
from .critical_batch import SEARCHED, StepsToTarget, unidentified

GRID = 25
# Log-likelihood this close to that at the end of the search is the end: the critical batch is not identified.
AS_GOOD = 1e-4
LEAST = 1e-9  # share of what all seeds tell, below which a seed tells nothing


@dataclass(frozen=True)
class Runs:
    """One row per run, float[runs] each: its batch, its seed, and the steps between which it passed the target.

    lows = highs where the step is known; highs are infinite for a run that had not passed after `lows` steps, and lows
    are 0 for one that had passed at its first evaluation.
    """

    batches: Floats
    seeds: Floats
    lows: Floats
    highs: Floats

    @classmethod
    def of(cls, batches: Sequence[float] | Floats, seeds: Sequence[float] | Floats, lows: Sequence[float] | Floats,
           highs: Sequence[float] | Floats) -> Runs:
        """Return the rows as arrays; raises RecordError for unequal lengths and for steps that no run can have."""
        made = cls(*(np.asarray(each, dtype=np.float64) for each in (batches, seeds, lows, highs)))
        sizes = {each.size for each in vars(made).values()}
        if len(sizes) != 1 or np.any(made.batches <= 0) or np.any(made.highs <= 0) or np.any(
                made.lows > made.highs) or np.any((made.lows <= 0) & ~np.isfinite(made.highs)):
            raise RecordError("batches, seeds and the two ends of the steps need one positive value each per run, the "
                              "lower end not above the upper; the first step counts as 1.")
        return made

    def where(self, kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Runs:
        """Return the rows for which `kept` is true."""
        return Runs(*(each[kept] for each in vars(self).values()))

    @property
    def passed(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which rows know their step, bool[runs]."""
        return self.lows == self.highs

    @property
    def never(self) -> tuple[int, ...]:
        """The batches of the runs that never passed."""
        return tuple(int(batch) for batch in self.batches[np.isinf(self.highs)])


@dataclass(frozen=True)
class _Law:
    """The law's likelihood as a function of log B_crit alone."""

    runs: Runs

    @cached_property
    def seeds(self) -> Floats:
        """One column for each seed, float[runs, seeds]."""
        return (self.runs.seeds[:, None] == np.unique(self.runs.seeds)[None, :]).astype(np.float64)

    def censored(self, *columns: Floats) -> CensoredNormal:
        """Return the likelihood on the seeds' levels and further columns, float[runs, more] each."""
        never = np.isinf(self.runs.highs)
        early = ~never & ~self.runs.passed
        ends = np.log(np.where(never, self.runs.lows, self.runs.highs))
        return CensoredNormal(np.column_stack([self.seeds, *columns]), ends, never.astype(np.float64) - early)

    @cached_property
    def likelihood(self) -> CensoredNormal:
        """The law's own, on the seeds' levels alone."""
        return self.censored()

    @property
    def ends(self) -> tuple[float, float]:
        """Between which log B_crit is searched for."""
        return math.log(self.runs.batches.min()) - SEARCHED, math.log(self.runs.batches.max()) + SEARCHED

    def at(self, knee: float) -> tuple[float, Floats]:
        """Return the log-likelihood at log B_crit = knee, and the seeds' log S_min."""
        return self.likelihood.best(np.log1p(np.exp(knee) / self.runs.batches))[:2]

    @cached_property
    def knee(self) -> float:
        """The most likely log B_crit; an end of the search where nothing is better."""
        places = np.linspace(*self.ends, GRID)
        values = np.array([self.at(float(place))[0] for place in places])
        best = int(np.argmax(values))
        for end in (0, GRID - 1):
            if values[best] - values[end] < AS_GOOD:
                return float(places[end])
        found = minimize_scalar(lambda knee: -self.at(float(knee))[0], method="bounded", options={"xatol": 1e-5},
                                bounds=(places[max(best - 1, 0)], places[min(best + 1, GRID - 1)]))
        return float(found.x)

    def apart(self, freedom: int, level: float) -> float:
        """Return how many times as far as runs of one spread would have it the critical batches of single seeds lie
        apart, Student's quantiles of both included; 1 where one seed alone tells anything of it.

        A seed that ends close to the target passes it where its curve is flat, and less surely than others: then runs
        are no equal repeats, and seeds are. The variance over them is the jackknife's, by the seeds' shares in the
        slope and the curvature of the likelihood (Bell and McCaffrey 2002); of seeds that weigh the same it is
        Student's.
        """
        grown = np.exp(self.knee) / self.runs.batches
        slopes, curvatures = self.likelihood.by_mean(np.log1p(grown))
        effects = grown / (1 + grown)
        effects = effects - self.seeds @ (self.seeds.T @ (curvatures * effects) / (self.seeds.T @ curvatures))
        information = self.seeds.T @ (curvatures * effects ** 2)
        shares = information / max(float(information.sum()), LEAST)
        telling = shares > LEAST
        count = int(np.count_nonzero(telling))
        if count < 2:
            return 1.0
        pulls = (self.seeds.T @ (slopes * effects))[telling] / (1 - shares[telling])
        over_seeds = float(pulls @ pulls) * (count - 1) / count
        over_runs = float(information.sum()) * np.count_nonzero(self.runs.passed) / freedom
        return math.sqrt(over_seeds / over_runs) * float(t_critical(count - 1, level) / t_critical(freedom, level))

    def interval(self, drop: float) -> tuple[float, float]:
        """Return where the log-likelihood has fallen by `drop` beside the knee; infinite where it never does."""
        floor = self.at(self.knee)[0] - drop
        ends = []
        for end in self.ends:
            if self.at(end)[0] >= floor:
                ends.append(math.copysign(math.inf, end - self.knee))
            else:
                ends.append(float(brentq(lambda knee: self.at(float(knee))[0] - floor, end, self.knee, xtol=1e-4)))
        return ends[0], ends[1]


def fit_runs_to_target(runs: Runs, level: float = LEVEL) -> StepsToTarget:
    """Fit the law to runs by seed, with those that never passed; n counts the runs that passed.

    Seeds have levels of their own, so that what a seed does at all batches alike costs nothing. The interval of B_crit
    is where the profile likelihood ratio stays below n log(1 + t^2/f), f = n - seeds - 1: for runs that all passed that
    is least squares with Student's t. Where seeds lie further apart than that explains, t is as many times larger. The
    law is tested against a free level for each batch.
    """
    law, never = _Law(runs.where(np.isin(runs.seeds, np.unique(runs.seeds[runs.passed])))), runs.never
    passed = law.runs.passed
    n, batches = int(np.count_nonzero(passed)), np.unique(law.runs.batches[passed]).size
    if batches < 2:
        return StepsToTarget(unknown(n), unknown(n), unknown(n), math.nan, never,
                             f"not enough points: batches that passed: {batches}; the law needs 2{_never_text(never)}")
    value, levels = law.at(law.knee)
    freedom = n - levels.size - 1
    fit = law.likelihood.ends - np.log1p(np.exp(law.knee) / law.runs.batches) - law.seeds @ levels
    rms = float(np.sqrt(np.mean(fit[passed] ** 2)))
    misfit = _lack_of_fit(law)
    if law.knee in law.ends:
        return _at_the_end(law, rms, misfit, never, freedom, level)
    t = float(t_critical(freedom, level)) * max(1.0, law.apart(freedom, level)) if freedom > 0 else math.nan
    low, high = law.interval(n / 2 * math.log1p(t ** 2 / freedom)) if freedom > 0 else (-math.inf, math.inf)
    bounded = math.isfinite(low) and math.isfinite(high)
    critical = exp(law.knee)
    found = Estimate(critical, exp(low), exp(high), n) if bounded else without_interval(critical, n)
    error = (high - low) / (2 * t) if bounded else math.nan
    fewest, examples = _both_parts(law, levels, error, n, level)
    notes = [unidentified(critical, law.runs.batches), _one_sided(low, high), _misfit_text(misfit, freedom)]
    return StepsToTarget(fewest, found, examples, rms, never,
                         ("; ".join(note for note in notes if note) + _never_text(never)).removeprefix("; "), misfit)


def _both_parts(law: _Law, levels: Floats, error: float, n: int, level: float) -> tuple[Estimate, Estimate]:
    """Return S_min and E_min = S_min B_crit, by the delta method, from the spread over seeds and that of log B_crit.
    """
    count, middle = levels.size, float(np.mean(levels))
    reach = 1e-3
    slope = (float(np.mean(law.at(law.knee + reach)[1])) - float(np.mean(law.at(law.knee - reach)[1]))) / (2 * reach)
    between = float(np.var(levels, ddof=1)) / count if count > 1 else 0.0
    t = float(t_critical(max(count - 1, 1) if count > 1 else max(n - 2, 1), level))
    halves = [t * math.sqrt(between + (part * error) ** 2) for part in (slope, 1 + slope)]
    made = [Estimate(exp(value), exp(value - half), exp(value + half), n) if math.isfinite(half)
            else without_interval(exp(value), n) for value, half in zip((middle, middle + law.knee), halves)]
    return made[0], made[1]


def _at_the_end(law: _Law, rms: float, misfit: float, never: tuple[int, ...], freedom: int,
                level: float) -> StepsToTarget:
    """Return the one part of the law that is measured where all batches lie on one side of the knee."""
    levels, n = law.at(law.knee)[1], int(np.count_nonzero(law.runs.passed))
    above = law.knee == law.ends[1]
    logs = levels + (law.knee if above else 0.0)
    middle, half = float(np.mean(logs)), math.nan
    if logs.size > 1:
        half = float(t_critical(logs.size - 1, level)) * float(np.std(logs, ddof=1)) / math.sqrt(logs.size)
    part = Estimate(exp(middle), exp(middle - half), exp(middle + half), n) if half > 0 \
        else without_interval(exp(middle), n)
    notes = [unidentified(exp(law.knee), law.runs.batches), _misfit_text(misfit, freedom)]
    note = ("; ".join(each for each in notes if each) + _never_text(never)).removeprefix("; ")
    return StepsToTarget(unknown(n) if above else part, unknown(n), part if above else unknown(n), rms, never, note,
                         misfit)


def _lack_of_fit(law: _Law) -> float:
    """Return the p value of the law against a free level for each batch that some run passed; NaN where seeds are too
    few to tell."""
    sizes = np.unique(law.runs.batches[law.runs.passed])
    kept = np.isin(law.runs.batches, sizes)
    own = law if kept.all() else _Law(law.runs.where(kept))  # batches that no run passed have no level
    n = int(np.count_nonzero(own.runs.passed))
    first, second = sizes.size - 2, n - own.seeds.shape[1] - (sizes.size - 1)
    if first < 1 or second < 1:
        return math.nan
    free = own.censored((own.runs.batches[:, None] == sizes[None, 1:]).astype(np.float64))
    gained = max(free.best(np.zeros(kept.sum()))[0] - own.at(own.knee)[0], 0.0)
    return float(f_above(math.expm1(min(2 * gained / n, 700.0)) * second / first, first, second))


def _misfit_text(p_value: float, freedom: int) -> str:
    if math.isnan(p_value):
        return "whether the law fits could not be tested: it takes 3 batches and 2 seeds" if freedom > 0 else ""
    if p_value < LACK_OF_FIT:
        return (f"the law does not fit (lack of fit: p = {p_value:.2g}): its critical batch is a summary of these "
                "batches, and its interval does not hold")
    return ""


def _one_sided(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return "no interval: the batches measured leave the critical batch open on both sides"
    if math.isinf(high):
        return f"no upper end: B_crit is at least {exp(low):,.0f}"
    return f"no lower end: B_crit is at most {exp(high):,.0f}" if math.isinf(low) else ""


def _never_text(never: tuple[int, ...]) -> str:
    if not never:
        return ""
    at = ", ".join(f"{batch:g}" for batch in sorted(set(never)))
    return f"; {len(never)} runs never passed the target (batch {at}): they count as longer than they ran"
