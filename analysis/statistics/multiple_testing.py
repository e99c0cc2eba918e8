"""Corrections for several tests of one family: Holm's, and chains of tests that are done in order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p values of one family after Holm's step-down adjustment, in the order given (Holm 1979).

    A NaN stays NaN and still counts as one of the family. Statsmodels' multipletests is not used because it collects
    garbage at every call, which takes a tenth of a second.
    """
    given = np.asarray(p_values, dtype=np.float64)
    filled = np.where(np.isnan(given), 1.0, given)
    order = np.argsort(filled)
    steps = np.maximum.accumulate(np.arange(given.size, 0, -1) * filled[order])
    adjusted = np.empty_like(filled)
    adjusted[order] = np.minimum(steps, 1.0)
    return tuple(float(p) for p in np.where(np.isnan(given), np.nan, adjusted))


def ordered_chains(chains: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """Return the adjusted p values of tests that stand in chains, each chain tested in its order.

    Every chain begins with the same share of the level. A rejection hands its share to the next test of its chain; the
    last one hands it to the chains that are still going, in equal parts. That is a sequentially rejective graph, so all
    the tests together err at most as often as the level says (Bretz, Maurer, Brannath and Posch 2009, algorithm 2). One
    chain is a fixed sequence, chains of one test each are Holm's. A NaN counts as 1 and stays NaN; what follows a test
    that cannot be rejected has at least its adjusted p value.
    """
    shares = {index: 1.0 for index, chain in enumerate(chains) if len(chain)}
    shares = {index: share / len(shares) for index, share in shares.items()}
    position = dict.fromkeys(shares, 0)
    adjusted: list[list[float]] = [[] for _ in chains]
    highest = 0.0
    while shares:
        wanted = {index: _as_one(chains[index][position[index]]) / share for index, share in shares.items()}
        index = min(wanted, key=lambda one: wanted[one])
        highest = max(highest, min(wanted[index], 1.0))
        given = chains[index][position[index]]
        adjusted[index].append(math.nan if math.isnan(given) else highest)
        position[index] += 1
        if position[index] == len(chains[index]):
            left = shares.pop(index)
            shares = {other: share + left / len(shares) for other, share in shares.items()}
    return tuple(map(tuple, adjusted))


def _as_one(p_value: float) -> float:
    return 1.0 if math.isnan(p_value) else p_value
