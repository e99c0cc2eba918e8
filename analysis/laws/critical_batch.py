"""Critical batch size: steps to target, the throughput knee, and the sources side by side.

A throughput knee is about the hardware, a noise scale about the gradient, and a steps-to-target
fit about training; they are compared, never merged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from ...benchmarks.errors import RecordError
from ...benchmarks.text import number
from ..statistics.curve_fit import CurveFit, fit_curve, LACK_OF_FIT, lack_of_fit
from ..statistics.estimate import LEVEL, Estimate, exponential, Floats, t_interval, unknown
from ..statistics.line import fit_line, LinearLaw

TOLERATED = 1.2
FACTOR_OF_A_BUG = 10.0
# e^14, a millionfold beyond the measured batches, is as good as infinity.
SEARCHED = 14.0


@dataclass(frozen=True)
class StepsToTarget:
    """Fitted law steps(B) = S_min (1 + B_crit/B), with E_min = S_min B_crit examples.

    Estimates without a finite fit are NaN, and `note` says what the data cannot identify; `censored` lists the batches
    of runs that never passed the target. lack_of_fit: the p value of the law against a free level for each batch, NaN
    where it could not be tested.
    """

    minimum_steps: Estimate
    critical_batch: Estimate
    minimum_examples: Estimate
    rms_log_residual: float
    censored: tuple[int, ...]
    note: str
    lack_of_fit: float = math.nan

    def steps(self, batch: float) -> float:
        """Return the predicted steps at a global batch, S_min + E_min/B; an unidentified part is too small to matter.
        """
        return float(np.nansum([self.minimum_steps.value, self.minimum_examples.value / batch]))


@dataclass(frozen=True)
class UsefulBatches:
    """Measured batches by the rules of `useful_batches`; None without a passing run. `note` flags the edges.

    perfect_range and useful_range: between which measured batches each lies at 95 %, by the seeds; None without two
    seeds, and then the two are readings of a table without an interval.
    """

    perfect_scaling_end: int | None
    largest_useful: int | None
    note: str
    perfect_range: tuple[int, int] | None = None
    useful_range: tuple[int, int] | None = None


@dataclass(frozen=True)
class ThroughputKnee:
    """Fitted step time a + b n in seconds; at knee_batch = a/b examples per replica, throughput is half of its peak."""

    overhead_seconds: Estimate
    seconds_per_example: Estimate
    knee_batch: Estimate
    note: str


def split_censored(batches: Sequence[float] | Floats, steps: Sequence[float | None] | Floats
                   ) -> tuple[Floats, Floats, tuple[int, ...]]:
    """Return batches and steps of the runs that passed, float[passed] each, and the batches of the other runs.

    None or infinity stands for a run that never passes. Raises RecordError for unequal lengths and for numbers that
    are not positive.
    """
    if len(batches) != len(steps):
        raise RecordError(f"{len(batches)} batches and {len(steps)} steps; "
                          "give None for a run that never passes.")
    counts = np.asarray([math.nan if step is None else step for step in steps], dtype=np.float64)
    sizes = np.asarray(batches, dtype=np.float64)
    passed = np.isfinite(counts)
    if np.any(counts[passed] <= 0) or np.any(sizes <= 0):
        raise RecordError("batches and steps must be positive; the first step counts as 1.")
    return sizes[passed], counts[passed], tuple(int(size) for size in sizes[~passed])


def fit_steps_to_target(batches: Sequence[int], steps: Sequence[float | None],
                        level: float = LEVEL) -> StepsToTarget:
    """Fit (log S_min, log B_crit) by unweighted least squares on log steps, one row per run.

    Intervals are exp(theta +- t se) with n - 2 degrees of freedom. A run that never passes is None or infinity: it is
    left out of the fit and listed.
    """
    sizes, counts, censored = split_censored(batches, steps)
    if np.unique(sizes).size < 2:
        nothing = unknown(sizes.size)
        return StepsToTarget(nothing, nothing, nothing, math.nan, censored,
                             "not enough points: batches that passed: "
                             f"{np.unique(sizes).size}; the law needs 2" + _censored_note(censored))
    fit = _fit_log_steps(sizes, np.log(counts), level)
    fewest = exponential(fit.parameter(0))
    critical = exponential(fit.parameter(1))
    examples = exponential(fit.derived(lambda theta: float(theta[0] + theta[1])))
    note = (unidentified(critical.value, sizes) + _censored_note(censored)).removeprefix("; ")
    if fit.at_bound[1]:
        # The knee ran off to infinity or to zero and took one of the other two along.
        fewest, examples = ((unknown(sizes.size), examples) if critical.value > sizes.max()
                            else (fewest, unknown(sizes.size)))
        critical = unknown(sizes.size)
    return StepsToTarget(fewest, critical, examples, fit.rms, censored, note)


def _fit_log_steps(sizes: Floats, log_steps: Floats, level: float) -> CurveFit:
    lowest = float(np.log(sizes.min())) - SEARCHED
    highest = float(np.log(sizes.max())) + SEARCHED

    def residuals(theta: Floats) -> Floats:
        return np.asarray(theta[0] + np.log1p(np.exp(theta[1]) / sizes) - log_steps)

    # For a given knee the best S_min is a mean. The outer starts stay where they are when the
    # knee is best at zero or at infinity, which is flat and so never quite reached from inside.
    starts = []
    for knee in (lowest, float(np.median(np.log(sizes))), highest):
        starts.append([float(np.mean(log_steps - np.log1p(np.exp(knee) / sizes))), knee])
    return fit_curve(residuals, starts, [-np.inf, lowest], [np.inf, highest], level)


def unidentified(critical_batch: float, sizes: Floats) -> str:
    """Return what batches on one side of the critical batch cannot tell; "" where they lie around it."""
    if critical_batch >= sizes.max():
        return (f"every batch measured lies below the knee: S_min * B_crit is measured, S_min and "
                f"B_crit apart are not; measure batches well above {sizes.max():g}")
    if critical_batch <= sizes.min():
        return (f"every batch measured lies above the knee: S_min is measured, B_crit is not, it "
                f"is only known to be small; measure batches well below {sizes.min():g}")
    return ""


def _censored_note(censored: tuple[int, ...]) -> str:
    if not censored:
        return ""
    at = ", ".join(f"{batch:g}" for batch in sorted(set(censored)))
    return (f"; {len(censored)} runs never passed the target (batch {at}): left out of the fit, "
            "which is optimistic there")


def useful_batches(batches: Sequence[float] | Floats, steps: Sequence[float | None] | Floats,
                   tolerated: float = TOLERATED, seeds: Sequence[float] | Floats = (),
                   least: Sequence[float] | Floats = ()) -> UsefulBatches:
    """Return the end of perfect scaling and the largest useful batch (both after Shallue et al. 2019).

    Perfect scaling ends at the largest B with steps(B) B <= 1.2 min(steps B); the largest useful B is the smallest
    with steps(B) <= 1.2 min steps. steps(B) is the median over the runs at B; a run that never passes counts as
    infinitely long. With the runs' seeds, and the steps that each took at least, both get the range of measured
    batches that a paired t interval of log steps over the seeds does not rule out.
    """
    sizes, counts, censored = split_censored(batches, steps)
    runs: dict[int, list[float]] = {}
    for size, count in zip((*sizes, *censored), (*counts, *(math.inf,) * len(censored))):
        runs.setdefault(int(size), []).append(float(count))
    middle = {size: median(counts) for size, counts in runs.items()}
    passed = {size: count for size, count in middle.items() if math.isfinite(count)}
    if not passed:
        return UsefulBatches(None, None, "no batch passes the target")
    examples = min(batch * count for batch, count in passed.items())
    fewest = min(passed.values())
    end = max(b for b, count in passed.items() if b * count <= tolerated * examples)
    largest = min(b for b, count in passed.items() if count <= tolerated * fewest)
    found = UsefulBatches(end, largest, _edges(end, largest, passed))
    if not len(seeds):
        return found
    logs = _Logs.of(batches, seeds, np.log(np.maximum(least, 1.0)), ~np.isfinite(np.asarray(steps, np.float64)))
    by_examples = _compared(logs, min(passed, key=lambda b: b * passed[b]), tolerated, 1.0)
    by_steps = _compared(logs, min(passed, key=lambda b: passed[b]), tolerated, 0.0)
    if not by_examples or not by_steps:
        return found
    perfect = (max((b for b, (within, _) in by_examples.items() if within), default=min(by_examples)),
               max(b for b, (_, beyond) in by_examples.items() if not beyond))
    useful = (min(b for b, (_, beyond) in by_steps.items() if not beyond),
              min((b for b, (within, _) in by_steps.items() if within), default=max(by_steps)))
    return replace(found, perfect_range=perfect, useful_range=useful)


@dataclass(frozen=True)
class _Logs:
    """Log steps by batch, ascending, and seed, NaN where it lacks one; `never`: batches that some run never passed."""

    by_batch: Mapping[int, Floats]
    never: frozenset[int]

    @classmethod
    def of(cls, batches: Sequence[float] | Floats, seeds: Sequence[float] | Floats, logs: Floats,
           never: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> _Logs:
        """Return the table of these runs, one value each."""
        sizes, column = np.unique(np.asarray(batches), return_inverse=True)
        each, row = np.unique(np.asarray(seeds), return_inverse=True)
        sums, counts = np.zeros((2, sizes.size, each.size))
        np.add.at(sums, (column, row), logs)
        np.add.at(counts, (column, row), 1.0)
        means = np.divide(sums, counts, out=np.full_like(sums, math.nan), where=counts > 0)
        return cls({int(size): values for size, values in zip(sizes, means)},
                   frozenset(int(size) for size in sizes[np.unique(column[never])]))


def _compared(logs: _Logs, best: int, tolerated: float, power: float) -> dict[int, tuple[bool, bool]]:
    """Return for each batch whether steps B^power are shown to be within the tolerated factor of those at `best`, and
    whether they are shown to be beyond it; empty where the seeds are too few to show anything."""
    found = {int(best): (True, False)}
    for batch in (each for each in logs.by_batch if each != best):
        more = logs.by_batch[batch] - logs.by_batch[best] + power * math.log(batch / best)
        more = more[~np.isnan(more)]
        if more.size < 2:
            return {}
        low, high = t_interval(np.mean(more), np.std(more, ddof=1), more.size)
        # A run that never passed took longer than is known: it can show a batch to be beyond, never to be within.
        found[batch] = (bool(high <= math.log(tolerated)) and batch not in logs.never,
                        bool(low > math.log(tolerated)) and best not in logs.never)
    return found


def _edges(end: int, largest: int, passed: Mapping[int, float]) -> str:
    notes = []
    if end == max(passed):
        notes.append("perfect scaling has not ended at the largest batch that passes")
    if largest == max(passed):
        notes.append("the largest batch that passes still saves steps: larger ones may be useful")
    return "; ".join(notes)


def throughput_knee(replica_batches: Sequence[float] | Floats, step_seconds: Sequence[float] | Floats,
                    level: float = LEVEL) -> ThroughputKnee:
    """Fit T(n) = a + b n seconds over launches; errors are taken as proportional to the time."""
    law = fit_line(replica_batches, step_seconds, relative_errors=True, level=level)
    knee = law.intercept_over_slope().within(0.0, math.inf)
    notes = [_knee_note(law, knee, replica_batches), _misfit(law, np.asarray(replica_batches, dtype=np.float64),
                                                             np.asarray(step_seconds, dtype=np.float64))]
    return ThroughputKnee(law.intercept, law.slope, knee, "; ".join(note for note in notes if note))


def _misfit(law: LinearLaw, batches: Floats, seconds: Floats) -> str:
    """Whether step times leave the line by more than launches at one batch differ, as where caches end."""
    if not law.residuals:
        return ""
    residuals = np.asarray(law.residuals)
    p_value = lack_of_fit(batches, residuals / (seconds - residuals), 2)
    if p_value < LACK_OF_FIT:
        return (f"a + b n does not fit the step times (lack of fit: p = {p_value:.2g}), so the interval of the knee "
                "does not hold")
    return ""


def _knee_note(law: LinearLaw, knee: Estimate, batches: Sequence[float] | Floats) -> str:
    if law.note and math.isnan(law.slope.value):
        return law.note
    if math.isnan(knee.value):
        return ("step time does not grow with the replica batch: the knee was not reached; "
                "measure larger batches")
    if knee.value <= 0:
        return "no fixed cost per step is seen: throughput is at its peak at every batch measured"
    if knee.value >= max(batches):
        return f"the knee, {number(knee.value)}, was not reached by the batches measured"
    if knee.value < min(batches):
        return (f"the knee, {number(knee.value)}, lies below the smallest batch measured, {min(batches):g}: it is "
                "extrapolated by the law")
    return law.note


def compare_sources(sources: Mapping[str, Estimate]) -> tuple[str, ...]:
    """Return one sentence for each pair of sources: whether they differ by more than their intervals explain.

    sources: name -> critical batch in examples of the global batch. Two differ where the difference of their logs is
    larger than the root of the sum of squares of the two half intervals that face each other; two intervals that
    overlap a little still differ at that level.
    """
    names = [name for name, source in sources.items() if source.value > 0]
    return tuple(_comparison(one, sources[one], two, sources[two])
                 for index, one in enumerate(names) for two in names[index + 1:])


def _comparison(one: str, first: Estimate, two: str, second: Estimate) -> str:
    (smaller, less), (larger, more) = sorted(((one, first), (two, second)), key=lambda pair: pair[1].value)
    factor = more.value / less.value
    if factor >= FACTOR_OF_A_BUG:
        return (f"{smaller} ({number(less.value)}) and {larger} ({number(more.value)}) are {factor:.0f}-fold "
                "apart: look for a bug or an untuned learning rate.")
    if not (less.has_interval and more.has_interval) or more.low <= 0:
        return (f"{one} ({first}) and {two} ({second}) are {factor:.1f}-fold apart; without intervals of both it is "
                "not known whether they differ.")
    facing = math.hypot(math.log(less.high / less.value), math.log(more.value / more.low))
    if math.log(factor) > facing:
        return (f"{one} ({first}) and {two} ({second}) disagree: {factor:.1f}-fold apart, which is more than their "
                "intervals explain.")
    return f"{one} ({first}) and {two} ({second}) agree within their intervals."
