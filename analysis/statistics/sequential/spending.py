"""Levels of the looks of a study that is judged again and again as its seeds come in.

A test that is made at every look has several chances to err. An error-spending function (Lan and DeMets 1983) says how
much of the whole level may be spent up to each look; the level of a look then follows from how closely its statistic
follows those before it (Armitage, McPherson and Rowe 1969). Here alpha (n / N)^k is spent at n of at most N seeds (Kim
and DeMets 1987).

The two questions spend differently. That a batch is worse is asked with k = 1, between O'Brien and Fleming, under which
Student's few seeds decide nothing early, and Pocock: where much is lost, three seeds show it, and a batch that is given
up wrongly errs on the safe side. That it is not worse is asked with k = 2, which leaves half of the level to the last
look where k = 1 leaves a third, for what is kept should be what all N seeds would keep. By simulated studies of 3 to 16
seeds, k = 1 for both takes 6 % fewer runs and keeps other batches than 16 seeds in 3.0 of 100 studies in which every
batch loses half the margin, instead of 1.7; k = 3 takes 5 % more runs, for 1.3.

Of few seeds it is asked with k = 18 / N, 3 for six of them: the first looks are then a large part of the study, and
spend what Student's three or four seeds can hardly use. In such studies of at most 6 seeds k = 2 keeps other batches
than all 6 in 34 of 100, k = 3 in 23 by 1 % more runs, and k = 4 in 20 by 2 %; of at most 4 seeds it is 16 of 100 with
k = 2, 11 with k = 3 and 10 with k = 4.

Seeds share the examples that they are judged by, so part of the variance is common to all looks, and the statistics of
two looks follow each other more closely than their seeds alone say: by the information of each, 1 / (variance of its
estimate), not by its seeds. The levels are those for the information there was (Lan and Zucker 1993); what may be spent
still goes by seeds, which are known beforehand.

The levels are those of normal statistics and are applied to Student's p values (Jennison and Turnbull 2000, chapter 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import optimize
from scipy.special import ndtr, ndtri

from ..estimate import Floats

Side = Literal["worse", "not worse"]
WORSE: Side = "worse"
NOT_WORSE: Side = "not worse"
"""What is asked: whether a loss is above a bound, or below it."""
POWER, LEAST_POWER, OF_FEW = 1.0, 2.0, 18.0
"""The k of what is worse; the least k of what is not worse, and what it is times the most seeds where they are few."""
STUDENT, STUDENT_IN_COMMON = 1.2, 1.05
"""How much more often Student's statistics of few seeds err at such levels, since they follow those before them less
closely: 0.030 instead of 0.025 in 400,000 simulated studies of 3 to 12 seeds. So much less is spent; where looks have
as much variance in common as the last one's seeds leave, or more, it is 0.026 in 180,000."""
LEAST, LARGEST, KNOTS = 1e-12, 0.5, 24
REACH, HIGHEST = 8.0, 40.0
COMMON = (0.0, *(2.0 ** power for power in range(-2, 7)))
"""Of the variance that all looks have in common, over that of the mean of the last one's seeds: values that levels are
found for."""
PLACES, WEIGHTS = np.polynomial.legendre.leggauss(60)

Counts = tuple[int, ...]
"""Seeds at each look, ascending; empty for a study that is judged once."""


def levels(counts: Sequence[int], alpha: float, side: Side, common: float = 0.0) -> Floats:
    """Return the one-sided level of each look, float[looks], so that all looks together reject at `alpha`.

    counts: seeds at each look, ascending; the last one is the most that there may be. side: WORSE or NOT_WORSE. common:
    the variance that all looks have in common, over that of the mean of the last one's seeds.
    """
    shares = np.asarray(counts, dtype=np.float64) / counts[-1]
    spent = alpha / (STUDENT_IN_COMMON if common >= 1 else STUDENT) * shares ** _power(counts[-1], side)
    given = np.diff(spent, prepend=0.0)
    information = shares * (1 + common) / (1 + shares * common)
    found = [float(given[0])]
    places, weights = _between(-REACH * np.sqrt(information[0]), -float(ndtri(given[0])) * np.sqrt(information[0]))
    density = _density(places, np.sqrt(information[0])) * weights
    for before, share, spent in zip(information, information[1:], given[1:]):
        step, root = np.sqrt(share - before), np.sqrt(share)
        bound = float(optimize.brentq(lambda z: float(np.sum(density * ndtr((places - z * root) / step))) - spent,
                                      -REACH, HIGHEST, xtol=1e-9))
        found.append(float(ndtr(-bound)))
        now, weights = _between(-REACH * root, bound * root)
        density = np.sum(_density(now[:, None] - places[None, :], step) * density, axis=1) * weights
        places = now
    return np.array(found)


def _power(most: int, side: Side) -> float:
    """The k of alpha (n / N)^k, of N = `most` seeds."""
    return POWER if side == WORSE else max(LEAST_POWER, OF_FEW / most)


def _between(low: float, high: float) -> tuple[Floats, Floats]:
    """Places and weights of Gauss and Legendre on an interval, float[k] each."""
    return low + (high - low) * (PLACES + 1) / 2, WEIGHTS * (high - low) / 2


def _density(at: Floats, scale: float) -> Floats:
    return np.asarray(np.exp(-(at / scale) ** 2 / 2) / (scale * math.sqrt(2 * math.pi)))


def common_class(common: float) -> float:
    """Return the largest of COMMON that is not above this variance, so that looks are taken to follow each other less
    closely than they do, and levels are the lower ones."""
    return max(each for each in COMMON if each <= max(common, 0.0))


@lru_cache(maxsize=256)
def knots(counts: Counts, side: Side, common: float = 0.0) -> tuple[Floats, Floats]:
    """Return whole levels, float[k], and the level that each look then has, float[k, looks], ascending. common: one of
    COMMON."""
    whole = np.geomspace(LEAST, LARGEST, KNOTS)
    each = np.array([levels(counts, alpha, side, common) for alpha in whole])
    return np.append(whole, 1.0), np.vstack([each, np.ones(len(counts))])


def look_at(counts: Counts, seeds: int) -> int:
    """Return which look so many seeds belong to, from 0; seeds that were lost leave it at the one before."""
    return max(int(np.searchsorted(counts, seeds, side="right")) - 1, 0)


def levels_at(counts: Counts, seeds: int, side: Side, common: float = 0.0) -> tuple[Floats, Floats]:
    """Return whole levels, float[k], and the level that the look at so many seeds has of each, ascending."""
    whole, each = knots(counts, side, common_class(common))
    return whole, each[:, look_at(counts, seeds)]


def level_at(counts: Counts, seeds: int, alpha: float, side: Side, common: float = 0.0) -> float:
    """Return the one-sided level of the look at so many seeds, of a whole level `alpha`; alpha itself without looks."""
    if not counts:
        return alpha
    whole, own = levels_at(counts, seeds, side, common)
    return float(np.exp(np.interp(np.log(alpha), np.log(whole), np.log(own))))


def over_looks(counts: Counts, seeds: int, p_value: float, side: Side, common: float = 0.0) -> float:
    """Return the least whole level at which a one-sided p value of so many seeds is shown (a sequential p value: Liu
    and Anderson 2008).

    It is compared with the level of one test, and adjusted for several as any p value is (Maurer and Bretz 2013). NaN
    stays NaN; without looks it is the p value itself.
    """
    if not counts or not p_value > 0:
        return p_value
    whole, own = levels_at(counts, seeds, side, common)
    return float(np.exp(np.interp(np.log(p_value), np.log(own), np.log(whole))))
