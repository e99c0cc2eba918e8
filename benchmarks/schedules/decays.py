"""Decay of the rate after warm-up: a pure function of the epochs done, the same at every batch and for every rule.

A factor multiplies the rule's rates. Cosine and polynomial decay begin at `warmup_epochs`, also in runs that warm up by
another length or not at all, so that runs of one experiment differ in nothing but what their rule says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config.fields import RunFields

Epochs = NDArray[np.float64]


@dataclass(frozen=True)
class Decay:
    """One decay: its formula, the source of the formula, and the factor of the rate after so many epochs."""

    formula: str
    source: str
    factor: Callable[[RunFields, Epochs], Epochs]


def progress(config: RunFields, epochs: Epochs) -> Epochs:
    """Return p, elementwise: 0 until `warmup_epochs`, then rising evenly to 1 at the end of the run."""
    return np.clip((epochs - config.warmup_epochs) / (config.epochs - config.warmup_epochs), 0.0, 1.0)


def _piecewise(config: RunFields, epochs: Epochs) -> Epochs:
    passed = np.searchsorted(np.asarray(config.decay_epochs, np.float64), epochs, side="right")
    return np.power(config.decay_factor, passed.astype(np.float64))


def _cosine(config: RunFields, epochs: Epochs) -> Epochs:
    return (1 + np.cos(np.pi * progress(config, epochs))) / 2


def _polynomial(config: RunFields, epochs: Epochs) -> Epochs:
    return (1 - progress(config, epochs)) ** config.decay_power


DECAYS: dict[str, Decay] = {
    "": Decay("1", "no decay", lambda config, epochs: np.ones_like(epochs)),
    "piecewise": Decay("decay_factor ^ (decay_epochs passed)", "He et al. 2016, arXiv:1512.03385", _piecewise),
    "cosine": Decay("(1 + cos(pi p)) / 2", "Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts", _cosine),
    "polynomial": Decay("(1 - p) ^ decay_power", "You et al. 2017, arXiv:1708.03888, with power 2", _polynomial),
}


def factors(config: RunFields, steps: int) -> Epochs:
    """Return the factor at each step of the run's epochs, float64[steps]; step t starts at epoch t E / steps.

    >>> from types import SimpleNamespace as run
    >>> factors(run(decay="piecewise", decay_epochs=(1.0, 3.0), decay_factor=0.5, epochs=4), 8).tolist()
    [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]
    """
    return DECAYS[config.decay].factor(config, np.arange(steps, dtype=np.float64) * config.epochs / max(steps, 1))
