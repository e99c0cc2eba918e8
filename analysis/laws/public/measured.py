"""How far off rules of public curves are on curves that they were fitted without."""

from __future__ import annotations

from msgspec import Struct


class Measured(Struct, frozen=True, kw_only=True):
    """The errors of a rule on curves of set-ups, machines with their software, that it was fitted without:
    |predicted / measured - 1| of the rate, its median and its 90th percentile, the share of 95 % intervals that held
    the rate, and their median width, the upper end over the lower. refused: curves whose slow-down was beyond all that
    the rule was fitted to."""

    curves: int
    setups: int
    refused: int
    median_error: float
    ninetieth_error: float
    held: float
    width: float
