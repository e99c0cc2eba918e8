"""What a gap owes to the finite number of examples that it was evaluated on.

Seeds share the validation and the test data, so a spread over seeds does not show how a gap would change on other
examples. With a(x) the share of seeds that are right about example x at one batch minus that at another, the mean gap
on n examples has the variance Var(a) / n, which is the paired binomial (McNemar) term. Records hold accuracies and not
answers, so Var(a) is estimated as a share of what it can be at most, the sum e of both error rates, which is reached
where no example is wrong at both batches:

- the same gap on the validation and on the test data, which are two independent sets, differs by Var(a) (1/n + 1/m);
- that one reading is weighed with PRIOR_SHARE, which counts as PRIOR_FREEDOM readings;
- a gap g alone needs Var(a) >= |g| - g^2;
- models that disagree about examples by batch also do so by seed, and n times the variance of the gap over seeds holds
  that: Var(a) is taken to be no more. Seeds that all end alike leave nothing to the examples.

An accuracy is a multiple of 1/n, so values that agree exactly are known to agree within that step only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..statistics.difference import at_look, Difference, paired_difference, widened
from ..tables.outcome import Outcome

# Of small networks' batches 32 and 512 on handwritten digits it is about 0.16, by how seldom intervals over seeds alone
# held the gap on all examples; of 17 pairs of batches on generated digits it was 0.2 on the mean, from 0.0 to 1.1.
PRIOR_SHARE = 0.2
PRIOR_FREEDOM = 4.0
CROSS_FITTED = 1.36
"""By how much more the mean of a cross-fitted arm varies than its seeds show, at most: the rate of each half of the
seeds was chosen by the other half, and between two halves that chose among k equally good rates the means correlate by
E[largest of k standard normals]^2 / (k - 1), which is 0.32, 0.36, 0.35, 0.34 and 0.29 for k of 2, 3, 4, 5 and 8."""


@dataclass(frozen=True)
class Sampling:
    """Part of a gap that comes from the choice of examples.

    `step`: the smallest difference between two values of one run. variance: that of a mean gap over sets of this many
    examples, known to `freedom` degrees of freedom; 0 where the number of examples is not known, or the outcome is a
    loss.
    """

    step: float = 0.0
    variance: float = 0.0
    freedom: float = math.inf


def sampling(reference: pd.DataFrame, own: pd.DataFrame, outcome: Outcome, metric: str) -> Sampling:
    """Return what the examples behind `metric` add to the gap between two batches.

    reference, own: one row per seed, with the outcome's validation and test columns at the end of training and
    `validation_examples` and `test_examples`. Only seeds that both have count.
    """
    if not np.array_equal(reference["seed"].to_numpy(), own["seed"].to_numpy()):
        reference, own = (one[one["seed"].isin(two["seed"])] for one, two in ((reference, own), (own, reference)))
    sizes = {part: _size(reference, part) for part in ("validation", "test")}
    size = sizes[metric.partition("_")[0]]
    if not outcome.percent or not size > 0:
        return Sampling()
    gaps = {part: _mean_gap(reference, own, f"{part}_{outcome.name}") for part in sizes}
    wrong = 2.0 - sum(float(rows[metric].mean()) for rows in (reference, own))
    gap = abs(gaps[metric.partition("_")[0]])
    if not (math.isfinite(gap) and math.isfinite(wrong)):
        return Sampling(1 / size)
    share, freedom = PRIOR_SHARE, PRIOR_FREEDOM
    apart = gaps["validation"] - gaps["test"]
    if math.isfinite(apart) and wrong > 0 and min(sizes.values()) > 0:
        seen = apart ** 2 / sum(1 / each for each in sizes.values()) / wrong
        share, freedom = (PRIOR_FREEDOM * share + seen) / (PRIOR_FREEDOM + 1), PRIOR_FREEDOM + 1
    each = _gaps(reference, own, metric)
    by_seed = size * float(np.var(each, ddof=1)) if len(each) > 1 else math.inf
    most = min(min(share, 1.0) * wrong, by_seed)
    return Sampling(1 / size, max(most, gap - gap ** 2) / size, freedom)


def gap_between(reference: pd.Series, own: pd.Series, outcome: Outcome, of: Sampling = Sampling(),
                cross_fitted: bool = False) -> Difference:
    """Return what `own` loses against `reference`, paired by seed, which is the index of both.

    of: what the examples add. cross_fitted: whether the rate of either was chosen by other seeds than it is read at.
    """
    seeds = reference.index.intersection(own.index)
    both = np.column_stack([each.loc[seeds].to_numpy(np.float64) for each in (reference, own)])
    both = both[np.isfinite(both).all(axis=1)]
    found = paired_difference(outcome.sign * both[:, 0], outcome.sign * both[:, 1])
    if len(both) < 2:
        return found
    # The difference of two values that are each rounded to a step; a loss is computed in single precision.
    least = of.step / math.sqrt(6) or float(np.finfo(np.float32).eps) * float(np.abs(both).mean())
    wide = widened(found, least / math.sqrt(len(both)), CROSS_FITTED if cross_fitted else 1.0, of.variance, of.freedom)
    return at_look(wide, outcome.looks)


def _size(rows: pd.DataFrame, part: str) -> float:
    name = f"{part}_examples"
    return float(rows[name].iloc[0]) if name in rows and len(rows) else math.nan


def _mean_gap(reference: pd.DataFrame, own: pd.DataFrame, metric: str) -> float:
    known = _gaps(reference, own, metric)
    return float(np.mean(known)) if known else math.nan


def _gaps(reference: pd.DataFrame, own: pd.DataFrame, metric: str) -> list[float]:
    """Paired by seed, the finite ones. Not by a merge, which takes longer than all the rest."""
    above, below = (dict(zip(rows["seed"].to_numpy(), rows[metric].to_numpy(np.float64))) for rows in (reference, own))
    gaps = [float(above[seed] - below[seed]) for seed in above if seed in below]
    return [gap for gap in gaps if math.isfinite(gap)]
