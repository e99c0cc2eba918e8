"""The response surface: what runs end with as a quadratic function of log batch and log rate, for a picture of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...statistics.estimate import Floats
from .best_rate import BestRate

FEWEST_POINTS = 8  # for six coefficients
FEWEST_BATCHES = 3


@dataclass(frozen=True)
class RateSurface:
    """value(batch, rate), smaller is better: coefficients float[6] of 1, x, y, x^2, xy and y^2, where x and y are log2
    of batch and natural log of rate about their means; rms: of the residuals, in the value's unit."""

    coefficients: Floats
    middle: tuple[float, float]
    rms: float
    points: int

    def to_json(self) -> dict[str, Any]:
        """Return what it takes to compute the surface elsewhere."""
        return {"coefficients": [float(each) for each in self.coefficients], "middle_log2_batch": self.middle[0],
                "middle_log_rate": self.middle[1], "rms": self.rms, "points": self.points}

    def values(self, batches: Floats, rates: Floats) -> Floats:
        """Return the surface at these batches and rates, which are broadcast against each other."""
        x, y = np.log2(batches) - self.middle[0], np.log(rates) - self.middle[1]
        terms = np.broadcast_arrays(np.ones(1), x, y, x * x, x * y, y * y)
        return np.asarray(sum(each * term for each, term in zip(self.coefficients, terms)))


def fit_rate_surface(best: Sequence[BestRate]) -> RateSurface | None:
    """Fit the surface by least squares to the trials around each batch's best one; None for fewer than 3 batches or 8
    trials, and where the fit does not bend upwards in the rate: it has no best rate then."""
    trials = [trial for one in best for trial in one.used]
    if len(trials) < FEWEST_POINTS or len({one.global_batch for one in best}) < FEWEST_BATCHES:
        return None
    across = np.log2([trial.global_batch for trial in trials])
    up = np.log([trial.learning_rate for trial in trials])
    middle = float(across.mean()), float(up.mean())
    x, y = across - middle[0], up - middle[1]
    values = np.array([trial.value for trial in trials])
    design = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    coefficients, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    if rank < design.shape[1] or not coefficients[-1] > 0:
        return None
    rest = values - design @ coefficients
    return RateSurface(coefficients, middle, float(np.sqrt(np.mean(rest ** 2))), len(trials))
