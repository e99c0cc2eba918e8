"""The exponent a of best rate ~ batch^a: what several batches of one setting say of it, shrunk towards a prior.

The best rates lie on a line in logarithms, log rate = c + a log batch, but for a scatter of their own. Nothing is known
of c, little of the scatter, and of a what theory says of the optimizer. All three are integrated over: a has its
density on a grid, of which the median is the value and the central part the interval. A best rate at the edge of those
tried counts by the probability that it lies beyond.

The prior has heavy tails (Student's t with 4 degrees of freedom), so that measurements that disagree with it win. Its
middle is halfway between the two limits of theory, its scale half their distance:

- steps along the gradient: 1 at batches far below the noise scale, 0 far above (McCandlish et al. 2018,
  arXiv:1812.06162; the linear rule of Goyal et al. 2017, arXiv:1706.02677, is the first of them)
- Adam and its kind: 1/2 far below (Malladi et al. 2022, arXiv:2205.10287), 0 at the noise scale, where the best rate is
  largest (Li et al. 2024, arXiv:2405.14578)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from ....benchmarks.config.optimizers import is_adaptive
from ...statistics.estimate import Estimate, exp, Floats, LEVEL, t_critical
from .best_rate import BestRate

EXPONENTS = np.linspace(-1.5, 3.0, 451)
FREEDOM = 4  # of the prior's Student t
FEWEST_BATCHES = 3
FEWEST_FOUND = 2
SCATTER = 0.35  # of best rates about the line, in natural logarithms: scale of its half normal prior
SCATTERS = np.linspace(0.02, 0.9, 17)
BETWEEN = 0.25  # of exponents of different settings about their mean: scale of its half normal prior
BETWEENS = np.linspace(0.02, 0.9, 17)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)


@dataclass(frozen=True)
class ExponentPrior:
    """A belief about an exponent before it is measured: a density over EXPONENTS, and in words where it is from."""

    density: Floats
    source: str

    @property
    def estimate(self) -> Estimate:
        """Return its median and central 95 %, from nothing measured."""
        return _summed_up(self.density, 0)


def _by_theory(largest: float, source: str) -> ExponentPrior:
    middle = largest / 2
    shape = (1 + ((EXPONENTS - middle) / middle) ** 2 / FREEDOM) ** (-(FREEDOM + 1) / 2)
    return ExponentPrior(shape / shape.sum(), source)


FOR_GRADIENT = _by_theory(1.0, "between the linear rule (1), far below the noise scale, and a constant rate (0), far "
                          "above it (McCandlish et al. 2018)")
FOR_ADAM = _by_theory(0.5, "between the square-root rule (0.5), far below the noise scale (Malladi et al. 2022), and a "
                      "constant rate (0), at it (Li et al. 2024)")


def prior_for(optimizer: str) -> ExponentPrior:
    """Return what theory says of an optimizer; of one that is not known, a user's own say, as of steps along the
    gradient, whose prior is the wider one."""
    return FOR_ADAM if is_adaptive(optimizer) else FOR_GRADIENT


@dataclass(frozen=True)
class RateLaw:
    """best rate ~ batch^a of one setting. exponent: shrunk towards `prior`; unshrunk: what was measured alone. n counts
    the batches.

    middle_log_batch, middle_log_rate: the point that the line goes through whatever its slope; scatter and middle_error
    are those of the rates about the line and of that point, in natural logarithms.
    """

    exponent: Estimate
    unshrunk: Estimate
    prior: ExponentPrior
    best: tuple[BestRate, ...]
    middle_log_batch: float
    middle_log_rate: float
    middle_error: float
    scatter: float

    def rate(self, batch: float) -> Estimate:
        """Return the best rate of a batch by the line, with the interval for that batch's own, scatter included."""
        across = math.log(batch) - self.middle_log_batch
        half = (self.exponent.high - self.exponent.low) / 2
        beyond = float(t_critical(math.inf)) * math.hypot(self.scatter, self.middle_error)
        log_rate = self.middle_log_rate + self.exponent.value * across
        reach = math.hypot(half * across, beyond)
        return Estimate(exp(log_rate), exp(log_rate - reach), exp(log_rate + reach), self.exponent.n,
                        "batches")


def too_few(best: Sequence[BestRate]) -> str:
    """Return why these best rates have no law; "" where they have one."""
    found = sum(not one.side for one in best)
    if len(best) < FEWEST_BATCHES:
        return f"rates were compared at {len(best)} of the {FEWEST_BATCHES} batches that an exponent takes"
    if found < FEWEST_FOUND:
        return (f"the best rate lies inside those tried at {found} of {len(best)} batches, and an exponent takes "
                f"{FEWEST_FOUND}: widen `search`")
    return ""


def fit_rate_law(best: Sequence[BestRate], prior: ExponentPrior) -> RateLaw | None:
    """Return the law of these best rates; None where there are too few, which `too_few` says in words."""
    if too_few(best):
        return None
    likely, each = _likelihoods(best)
    after = likely * prior.density
    exponent = _summed_up(after, len(best))
    scatter = _median(SCATTERS, (each * prior.density).sum(axis=1))
    found = [one for one in best if not one.side]
    weights = np.array([1 / (one.error ** 2 + scatter ** 2) for one in found])
    middle = float(weights @ np.log([one.global_batch for one in found]) / weights.sum())
    rate = float(weights @ [one.log_rate for one in found] / weights.sum())
    return RateLaw(exponent, _summed_up(likely, len(best)), prior, tuple(best), middle, rate,
                   1 / math.sqrt(float(weights.sum())), scatter)


def prior_from(settings: Sequence[Sequence[BestRate]], prior: ExponentPrior) -> ExponentPrior:
    """Return what other settings say of a setting that is not among them, having begun with `prior` for their mean.

    The settings' exponents vary about their mean by an unknown spread; both are integrated over. Settings with too few
    batches are passed over; without any the prior is returned as it was.
    """
    likely = [_likelihoods(best)[0] for best in settings if not too_few(best)]
    if not likely:
        return prior
    apart = EXPONENTS[:, None] - EXPONENTS
    density = np.zeros_like(EXPONENTS)
    logs, kernels = [], []
    for spread in BETWEENS:
        kernel = np.exp(-0.5 * (apart / spread) ** 2)
        kernel /= kernel.sum(axis=1, keepdims=True)
        own = np.log(np.maximum(kernel @ np.array(likely).T, 1e-300)).sum(axis=1)
        logs.append(own + np.log(prior.density) - 0.5 * (spread / BETWEEN) ** 2)
        kernels.append(kernel)
    top = max(float(each.max()) for each in logs)
    for each, kernel in zip(logs, kernels):
        density += np.exp(each - top) @ kernel
    source = f"measured in {len(likely)} other settings, whose mean was thought to lie {prior.source}"
    return ExponentPrior(density / density.sum(), source)


def _likelihoods(best: Sequence[BestRate]) -> tuple[Floats, Floats]:
    """The likelihood of each exponent, float[exponents], and of each scatter with it, float[scatters, exponents]; their
    greatest is 1, and the place of the line is integrated over."""
    found = [one for one in best if not one.side]
    across = np.log([one.global_batch for one in found])
    offsets = np.array([one.log_rate for one in found]) - EXPONENTS[:, None] * across
    variances = np.array([one.error ** 2 for one in found]) + SCATTERS[:, None] ** 2
    weights = 1 / variances
    total = weights.sum(axis=1)[:, None]
    place = weights @ offsets.T / total
    squares = weights @ (offsets ** 2).T - total * place ** 2
    logs = -0.5 * (np.log(variances).sum(axis=1)[:, None] + np.log(total) + squares
                   + (SCATTERS[:, None] / SCATTER) ** 2)
    logs += _beyond([one for one in best if one.side], place, 1 / np.sqrt(total))
    likely = np.exp(logs - logs.max())
    alone = likely.sum(axis=0)
    return alone / alone.max(), likely


def _beyond(edges: Sequence[BestRate], place: Floats, error: Floats) -> Floats:
    """The log probability that the best rates at the edges lie beyond these, over where the line may be; 0 without any.

    place: of the line, float[scatters, exponents]; error: of that place, float[scatters, 1].
    """
    if not edges:
        return np.zeros_like(place)
    logs = np.zeros((NODES.size, *place.shape))
    for one in edges:
        line = place + EXPONENTS * math.log(one.global_batch) - one.log_rate
        spread = np.sqrt(one.error ** 2 + SCATTERS[:, None] ** 2)
        logs += log_ndtr(one.side * (line + NODES[:, None, None] * error) / spread)
    top = logs.max(axis=0)
    mean = np.tensordot(WEIGHTS / WEIGHTS.sum(), np.exp(logs - top), axes=1)
    return np.asarray(np.log(mean) + top)


def _summed_up(density: Floats, n: int) -> Estimate:
    tail = (1 - LEVEL) / 2
    value, low, high = (_quantile(EXPONENTS, density, share) for share in (0.5, tail, 1 - tail))
    return Estimate(value, low, high, n, "batches")


def _median(places: Floats, density: Floats) -> float:
    return _quantile(places, density, 0.5)


def _quantile(places: Floats, density: Floats, share: float) -> float:
    """The place below which this share of the density lies, each place's part spread evenly about it."""
    below = np.cumsum(density) / density.sum()
    half = (places[1] - places[0]) / 2
    return float(np.interp(share, np.concatenate([[0.0], below]), np.concatenate([[places[0] - half], places + half])))
