"""Tails and quantiles of Student's t, of F and of the normal distribution, elementwise.

They are scipy.special's, which `scipy.stats` calls too: without that module a command starts in half the time, and a
quantile takes a microsecond instead of a hundred.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

MOST_KEPT = 4096


def t_above(value: Any, freedom: Any) -> Any:
    """Return the probability that Student's t with this many degrees of freedom, infinitely many among them, is
    larger."""
    return _many(special.stdtr, special.ndtr, freedom, -np.asarray(value, dtype=np.float64))


def t_below(value: Any, freedom: Any) -> Any:
    """Return the probability that Student's t is smaller."""
    return _many(special.stdtr, special.ndtr, freedom, value)


def t_density(value: float, freedom: float) -> float:
    """Return the density of Student's t at a value; the normal one for infinitely many degrees of freedom."""
    if math.isinf(freedom):
        return math.exp(-value * value / 2) / math.sqrt(2 * math.pi)
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    return math.exp(scale - (freedom + 1) / 2 * math.log1p(value * value / freedom))


def t_quantile(probability: Any, freedom: Any) -> Any:
    """Return the value below which Student's t lies with this probability."""
    return _many(special.stdtrit, special.ndtri, freedom, probability)


def f_above(value: Any, first: Any, second: Any) -> Any:
    """Return the probability that F with these degrees of freedom is larger."""
    return special.fdtrc(first, second, value)


def f_quantile(probability: Any, first: Any, second: Any) -> Any:
    """Return the value below which F lies with this probability."""
    return special.fdtri(first, second, probability)


def normal_quantile(probability: Any) -> Any:
    """Return the value below which a standard normal lies with this probability."""
    return special.ndtri(probability)


def _many(student: Any, normal: Any, freedom: Any, other: Any) -> Any:
    """Student's function, and the normal one where there are infinitely many degrees of freedom."""
    if isinstance(freedom, (int, float)) and isinstance(other, (int, float)):
        return _one(student, normal, freedom, other)
    found = student(freedom, other)
    infinite = np.isinf(freedom)
    return np.where(infinite, normal(other), found) if np.any(infinite) else found


@lru_cache(maxsize=MOST_KEPT)
def _one(student: Any, normal: Any, freedom: float, other: float) -> Any:
    """The same of single numbers: a report asks for the quantiles of the same few degrees of freedom all the time."""
    return normal(other) if math.isinf(freedom) else student(freedom, other)
