"""How far a scaling law may be believed: its held-out error and the reach of its data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .estimate import LEVEL, Estimate, finite_values, Floats, geometric_mean, mean_estimate, unknown

FARTHEST = 4.0


class Predictor(Protocol):
    """A fitted law."""

    def predict(self, x: float, /) -> Estimate: ...


@dataclass(frozen=True)
class HeldOutError:
    """The largest size predicted from the others; relative_error is predicted/measured - 1."""

    size: float
    measured: Estimate
    predicted: Estimate
    relative_error: Estimate
    note: str

    @classmethod
    def of(cls, size: float, values: Sequence[float] | Floats, predicted: Estimate, note: str = "") -> HeldOutError:
        """Return the error of a prediction at `size` against the values measured there, float[n].

        Their geometric mean is what was measured where all are positive, else their mean.
        """
        measured = _typical(values)
        return cls(size, measured, predicted, predicted.transformed(lambda value: value / measured.value - 1), note)

    @property
    def within(self) -> bool:
        """Return whether what was measured lies in the interval predicted without it."""
        return self.predicted.low <= self.measured.value <= self.predicted.high


def held_out_error(fit: Callable[[Floats, Floats], Predictor], sizes: Sequence[float] | Floats,
                   values: Sequence[float] | Floats, level: float = LEVEL) -> HeldOutError:
    """Fit without the largest size and predict it; a law without enough points gives NaN."""
    across, up = finite_values(sizes, "sizes"), finite_values(values)
    if across.size == 0:
        return HeldOutError(math.nan, unknown(), unknown(), unknown(), "no points")
    largest = float(across.max())
    rest = across < largest
    measured = _typical(up[~rest], level)
    predicted = fit(across[rest], up[rest]).predict(largest)
    error = predicted.transformed(lambda value: value / measured.value - 1)
    few = math.isnan(predicted.value)
    note = f"too few points are left to fit without {largest:g}" if few else ""
    return HeldOutError(largest, measured, predicted, error, note)


def _typical(values: Sequence[float] | Floats, level: float = LEVEL) -> Estimate:
    """The geometric mean of what is positive, as times, rates and memory are; else the mean."""
    positive = bool(np.all(np.asarray(values) > 0))
    return geometric_mean(values, level) if positive else mean_estimate(values, level)


def extrapolation_warning(size: float, measured: Sequence[float] | Floats) -> str:
    """Return a warning about a prediction beyond FARTHEST (four) times the largest size measured; "" up to there."""
    largest = float(np.max(np.asarray(measured, dtype=np.float64)))
    if size <= FARTHEST * largest:
        return ""
    return (f"{size:g} is {size / largest:.1f} times the largest size measured ({largest:g}); "
            f"beyond {FARTHEST:g} times a prediction is a guess: measure at "
            f"{size / FARTHEST:g} or more first.")
