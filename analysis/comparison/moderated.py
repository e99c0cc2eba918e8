"""Variances of many small samples, each steadied by what they all have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from ..statistics.estimate import Floats

FEWEST_SAMPLES = 5
MOST_FREEDOM = 1e6


@dataclass(frozen=True)
class Moderated:
    """Variance of each sample, and the degrees of freedom to which it is known."""

    variances: Floats
    freedoms: Floats


def moderated(variances: Sequence[float] | Floats, freedoms: Sequence[float] | Floats) -> Moderated:
    """Return the larger of each sample's own variance and the moderated one of Smyth (2004).

    The true variances are taken as scaled inverse chi-square around a common value; how far they spread is estimated
    from the samples, so where they differ little each borrows many degrees of freedom and where they differ much few.
    A sample that varies more than the others, as one with a disturbed value does, keeps its own variance: shrinking it
    would make the disturbance look certain. Below FEWEST_SAMPLES samples, and for a sample of variance 0 or without
    freedom, nothing is borrowed.
    """
    own, freedom = (np.asarray(each, dtype=np.float64) for each in (variances, freedoms))
    usable = (own > 0) & (freedom > 0)
    if np.count_nonzero(usable) < FEWEST_SAMPLES:
        return Moderated(own, freedom)
    common, borrowed = _prior(own[usable], freedom[usable])
    shrunk = (borrowed * common + freedom * own) / (borrowed + freedom)
    most = float(np.sum(freedom[usable]))
    return Moderated(np.where(usable, np.maximum(own, shrunk), own),
                     np.where(usable, np.minimum(freedom + borrowed, most), freedom))


def _prior(variances: Floats, freedoms: Floats) -> tuple[float, float]:
    """The common variance and the degrees of freedom that it stands for, by the moments of the logarithms."""
    half = freedoms / 2
    centred = np.log(variances) - special.digamma(half) + np.log(half)
    excess = float(np.var(centred, ddof=1) - np.mean(special.polygamma(1, half)))
    middle = float(np.mean(centred))
    if not excess > float(special.polygamma(1, MOST_FREEDOM / 2)):
        return math.exp(middle), MOST_FREEDOM
    of_half = float(optimize.brentq(lambda log: float(special.polygamma(1, math.exp(log))) - excess, -30.0,
                                    math.log(MOST_FREEDOM)))
    prior = math.exp(of_half)
    return math.exp(middle + float(special.digamma(prior)) - math.log(prior)), 2 * prior
